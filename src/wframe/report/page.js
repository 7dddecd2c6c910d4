// the filter: shows the rows of one verdict
document.querySelectorAll('input[name="verdict"]').forEach(input => input.addEventListener('change', () =>
  document.querySelectorAll('tr[data-verdict]').forEach(row =>
    row.hidden = input.value !== '' && row.dataset.verdict !== input.value)));
// the player: both methods' images after the same learning iteration; where motion is unwanted, one press is one step
const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
for (const film of document.querySelectorAll('.film')) {
  const { times, iterations, runs } = JSON.parse(film.dataset.film), last = times.length - 1;
  const [slider, button, cursor] = ['input', 'button', '.cursor'].map(name => film.querySelector(name));
  const title = film.querySelector('strong').textContent;
  let timer = null;
  const show = () => {
    const at = Number(slider.value), t = times[at];
    film.style.setProperty('--column', 1 + at);
    film.querySelectorAll('.R').forEach((place, k) => { place.textContent = runs[k].said[at]; });
    film.querySelector('.now').textContent = `${t} of ${iterations}`;
    const said = runs.map(run => `${run.label}: ${run.said[at]}`).join('. ');
    slider.setAttribute('aria-valuetext', `${t} of ${iterations}. ${said}`);
    if (cursor) for (const x of ['x1', 'x2']) cursor.setAttribute(x, 1000 * (t - 1) / Math.max(1, iterations - 1));
  };
  const name = text => { button.textContent = text; button.setAttribute('aria-label', `${text}: ${title}`); };
  const stop = () => { clearInterval(timer); timer = null; name(still ? 'Next' : 'Play'); };
  const step = () => {
    slider.value = (Number(slider.value) + 1) % times.length;
    show();
    if (timer && Number(slider.value) === last) stop();
  };
  button.addEventListener('click', () => {
    if (still) return step();
    if (timer) return stop();
    if (Number(slider.value) === last) { slider.value = 0; show(); }
    timer = setInterval(step, 700);
    name('Pause');
  });
  slider.addEventListener('input', () => { if (timer) stop(); show(); });
  film.querySelector('.player').hidden = last === 0;
  stop();
  show();
}
// a link to a claim, a run or a figure opens what it lies in
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let node = target; node; node = node.parentElement) if (node.tagName === 'DETAILS') node.open = true;
  if (target) target.scrollIntoView();
};
addEventListener('hashchange', reveal);
reveal();
