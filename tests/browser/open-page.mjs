// Opens a local HTML page in a headless Chromium, on a desk and on a phone, in light and dark, and prints what
// it saw as JSON: requests, console messages, errors, overflow, texts. Screenshots go to the folder given.
//
//   node open-page.mjs PAGE.html FOLDER [CSS-SELECTOR…]
//
// Exit code 9: no browser can be started here; the reason is on stderr.

import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [page, folder, ...selectors] = process.argv.slice(2);
const NO_BROWSER = 9;
const FLAGS = [
  "--no-sandbox", // containers and root have no user namespaces; the page under test is our own
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const VIEWS = [
  { name: "desk-light", colorScheme: "light", viewport: { width: 1200, height: 900 } },
  { name: "desk-dark", colorScheme: "dark", viewport: { width: 1200, height: 900 } },
  { name: "phone-light", colorScheme: "light", viewport: { width: 360, height: 740 }, isMobile: true, deviceScaleFactor: 2 },
  { name: "phone-dark", colorScheme: "dark", viewport: { width: 360, height: 740 }, isMobile: true, deviceScaleFactor: 2 },
];

async function launch() {
  const { chromium } = await import("playwright-core");
  const installed = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const wanted = process.env.FEDPROOF_CHROMIUM;
  const executable = wanted ?? installed.find((path) => existsSync(path));
  if (executable) return chromium.launch({ executablePath: executable, args: FLAGS });

  // The package unpacks its browser into the temporary folder, and with this also the few libraries (NSS) that
  // a bare machine lacks; they are used only if the machine's own are not there.
  const shipped = (await import("@sparticuz/chromium")).default;
  process.env.AWS_LAMBDA_JS_RUNTIME ??= "22.x";
  const executablePath = await shipped.executablePath();
  if (!existsSync("/etc/fonts")) process.env.FONTCONFIG_PATH ??= join(tmpdir(), "fonts");
  try {
    return await chromium.launch({ executablePath, args: FLAGS });
  } catch (error) {
    if (!error.message.includes("shared libraries")) throw error;
    const env = { ...process.env, LD_LIBRARY_PATH: join(tmpdir(), "al2023", "lib") };
    return chromium.launch({ executablePath, args: FLAGS, env });
  }
}

// The top of the page only, and more than once if need be: software rendering on a busy machine now and then
// fails to capture, and the more often the larger the picture.
async function photograph(tab, path, width) {
  const height = Math.min(3000, await tab.evaluate(() => document.documentElement.scrollHeight));
  for (let left = 4; ; left--) {
    try {
      await tab.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width, height } });
      return;
    } catch (error) {
      if (left === 0 || !error.message.includes("Unable to capture screenshot")) throw error;
      await tab.waitForTimeout(500);
    }
  }
}

let browser;
try {
  browser = await launch();
} catch (error) {
  console.error(error.message.split("\n").slice(0, 12).join("\n"));
  process.exit(NO_BROWSER);
}

const seen = { version: browser.version(), requests: [], console: [], errors: [], views: {}, texts: {} };
try {
  for (const { name, ...options } of VIEWS) {
    const context = await browser.newContext(options);
    const tab = await context.newPage();
    tab.on("request", (request) => seen.requests.push(request.url()));
    tab.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
    tab.on("pageerror", (error) => seen.errors.push(error.message));
    await tab.goto(pathToFileURL(page).href, { waitUntil: "networkidle" });
    const screenshot = join(folder, `${name}.png`);
    await photograph(tab, screenshot, options.viewport.width);
    seen.views[name] = {
      screenshot,
      title: await tab.title(),
      overflow: await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
      background: await tab.evaluate(() => getComputedStyle(document.body).backgroundColor),
    };
    for (const selector of selectors) seen.texts[selector] = await tab.locator(selector).allTextContents();
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
