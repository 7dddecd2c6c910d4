// Opens a page in a real Chromium, at desktop and phone width, and reports what a visitor would see.
// Usage: node browser.mjs FOLDER-WITH-node_modules PAGE SCREENSHOT-PREFIX; prints JSON.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { readFileSync } from 'node:fs';

const [folder, page_path, prefix] = process.argv.slice(2);
const require = createRequire(folder + '/');
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const report = { console: [], failed: [], widths: {} };
for (const [name, width, colorScheme] of [['desktop', 1280, 'light'], ['phone', 375, 'dark']]) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  page.setDefaultTimeout(120000); // a busy machine
  page.on('console', message => message.type() === 'error' && report.console.push(message.text()));
  page.on('pageerror', error => report.console.push(String(error)));
  page.on('requestfailed', request => report.failed.push(request.url()));
  await page.goto(pathToFileURL(page_path).href);
  // images load lazily: force them all
  await page.evaluate(async () => {
    for (const image of document.images) { image.loading = 'eager'; }
    await Promise.all([...document.images].map(image => image.decode().catch(() => {})));
  });
  const seen = await page.evaluate(() => ({
    images: document.images.length,
    broken: [...document.images].filter(image => !image.naturalWidth).map(image => image.src),
    scrolls: document.documentElement.scrollWidth > document.documentElement.clientWidth,
  }));
  await page.screenshot({ path: `${prefix}-${name}.png`, fullPage: true });

  // the filter shows the rows of one verdict, and then all rows again
  const rows = () => page.locator('tr[data-verdict]:visible').count();
  seen.rows = await rows();
  seen.filtered = {};
  for (const radio of await page.locator('input[name="verdict"]').all()) {
    const value = await radio.getAttribute('value');
    if (!value) continue;
    await radio.check();
    seen.filtered[value] = await rows();
  }
  await page.locator('input[name="verdict"][value=""]').check();
  seen.all_again = await rows();

  // follow the link from a claim to its figure
  const claim = page.locator('tr[data-verdict] details:has(a[href^="#"])').first();
  await claim.locator('summary').click();
  const link = claim.locator('a[href^="#"]').first();
  const target = await link.getAttribute('href');
  await link.click();
  seen.led_to = await page.waitForFunction(id => {  // scrolling is smooth: it takes a moment
    const box = document.querySelector(id).getBoundingClientRect();
    return location.hash === id && box.top < innerHeight && box.bottom > 0;
  }, target, { timeout: 5000 }).then(() => true, () => false);

  // the player: by keyboard, and by its button
  const film = page.locator('.film').first();
  const slider = film.locator('input'), button = film.locator('button');
  const state = () => film.evaluate(node => ({
    now: node.querySelector('.now').textContent,
    said: node.querySelector('input').getAttribute('aria-valuetext'),
    left: [...node.querySelectorAll('.window img')].map(image => Math.round(image.offsetLeft / image.parentElement.clientWidth)),
    strip: getComputedStyle(node.querySelector('.strip')).display,
  }));
  seen.player = { end: await state() };
  await slider.focus();
  await page.keyboard.press('Home');
  seen.player.start = await state();
  await page.keyboard.press('ArrowRight');
  seen.player.next = await state();
  await page.keyboard.press('End');
  await button.focus();
  await page.keyboard.press('Space');
  seen.player.playing = await button.textContent();
  seen.player.again = await state();
  await page.waitForFunction(([node, text]) => node.querySelector('.now').textContent !== text,
    [await film.elementHandle(), seen.player.again.now], { timeout: 10000 });
  await button.click();
  seen.player.paused = await button.textContent();

  // open everything, so that the accessibility checker sees it
  await page.evaluate(() => document.querySelectorAll('details').forEach(details => { details.open = true; }));
  seen.scrolls_when_open = await page.evaluate(
    () => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run());
  seen.violations = found.violations.map(violation =>
    `${violation.id}: ${violation.nodes.slice(0, 3).map(node => node.html.slice(0, 120)).join(' | ')}`);
  report.widths[name] = seen;
  await page.close();
}

// without JavaScript, and in print, the strip shows all iterations; where motion is unwanted, the button steps
const strips = page => page.evaluate(() => [...document.querySelectorAll('.film')].map(film =>
  [getComputedStyle(film.querySelector('.strip')).display, getComputedStyle(film.querySelector('.player')).display].join()));
const still = await browser.newPage({ reducedMotion: 'reduce' });
await still.goto(pathToFileURL(page_path).href);
report.still = await still.locator('.film button').first().textContent();
await still.emulateMedia({ media: 'print' });
report.printed = [...new Set(await strips(still))];
const context = await browser.newContext({ javaScriptEnabled: false });
const plain = await context.newPage();
await plain.goto(pathToFileURL(page_path).href);
report.plain = [...new Set(await strips(plain))];
report.observed = await plain.locator('.film .window img').first().isVisible();
await browser.close();
console.log(JSON.stringify(report));
