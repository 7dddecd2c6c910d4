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
for (const [name, width] of [['desktop', 1280], ['phone', 375]]) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
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
await browser.close();
console.log(JSON.stringify(report));
