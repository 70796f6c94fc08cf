// A browser, tests of its page, and what listeners do in it. Arguments of the programs: PLAYWRIGHT CHROMIUM CSM FOLDER.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [playwright, chromium] = process.argv.slice(2);
export const csm = process.argv[4];
export const folder = process.argv[5];
const { chromium: launcher } = await import(pathToFileURL(join(playwright, "package/index.mjs")));
export const browser = await launcher.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});

export const check = (is, what) => { if (!is) throw new Error(what); };
export const run = (...args) => execFileSync(csm, ["listen", ...args], { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/// A short sound: a WAV file of `seconds` of a tone.
export function sound(name, hertz, seconds = 0.5) {
  const count = Math.round(seconds * 24000), data = Buffer.alloc(44 + 2 * count);
  data.write("RIFF", 0); data.writeUInt32LE(36 + 2 * count, 4); data.write("WAVEfmt ", 8); data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20); data.writeUInt16LE(1, 22); data.writeUInt32LE(24000, 24); data.writeUInt32LE(48000, 28);
  data.writeUInt16LE(2, 32); data.writeUInt16LE(16, 34); data.write("data", 36); data.writeUInt32LE(2 * count, 40);
  for (let n = 0; n < count; n += 1) data.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * hertz * n) / 24000)), 44 + 2 * n);
  writeFileSync(join(folder, name), data);
  return name;
}
export function make(name, kind, conditions, items, ...flags) {
  const files = (c) => Array.from({ length: items }, (_, n) => sound(`${name}-${c}-${n}.wav`, 200 + 50 * c + 17 * n)).join(",");
  const each = Array.from({ length: conditions }, (_, c) => ["--condition", `condition${c}=${files(c)}`]).flat();
  run("new", "--kind", kind, ...each, "--seed", "5", "--output", `${name}.json`, "--page", `${name}.html`, ...flags);
  return { name, kind, url: pathToFileURL(join(folder, `${name}.html`)).href, test: JSON.parse(readFileSync(join(folder, `${name}.json`))) };
}

export const errors = [];
export async function open(test, { context, number = 1, query = "", init } = {}) {
  context ??= await browser.newContext({ acceptDownloads: true });
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(`${test.name}: ${error.message}`));
  if (init) await page.addInitScript(init);
  await page.goto(`${test.url}?number=${number}${query}`);
  return page;
}
export const named = (page, name) => page.getByRole("button", { name, exact: true });
export async function begin(page, listener = "Ada") {
  await page.getByLabel("Your name").fill(listener);
  await page.locator("button.primary").first().click();
  await page.locator(".sounds button").first().waitFor();
}
export const playable = (page) => page.locator(".sounds button");
export async function hearAll(page) {
  const all = await playable(page).count();
  for (let n = 0; n < all; n += 1) {
    await playable(page).nth(n).click();
    await page.waitForFunction((k) => document.querySelectorAll(".sounds button")[k].classList.contains("heard"), n);
    // To its end: another sound would continue at the same moment.
    await page.waitForFunction(() => !document.querySelector(".sounds button.playing"));
  }
}
export const progress = (page) => page.locator("progress").getAttribute("value").then(Number);
/// Answers the open trial by its list entry: `answer(stimuli, x)` gives a label, or values.
export async function answerTrial(page, test, number, answer) {
  const entry = test.test.lists[(number - 1) % test.test.lists.length][await progress(page)];
  const stimuli = entry.stimuli.map((n) => test.test.stimuli[n]);
  await hearAll(page);
  const given = answer(stimuli, entry.x ?? null);
  if (Array.isArray(given)) {
    const sliders = page.locator(".scale input");
    for (let n = 0; n < given.length; n += 1) await sliders.nth(n).fill(String(given[n]));
    await named(page, "Next").click();
  } else await named(page, given).click();
}
export async function whole(page, test, number, answer, listener) {
  await begin(page, listener);
  const trials = test.test.lists[(number - 1) % test.test.lists.length].length;
  for (let n = 0; n < trials - 1; n += 1) await answerTrial(page, test, number, answer);
  const download = page.waitForEvent("download");
  await answerTrial(page, test, number, answer);
  const file = join(folder, `${test.name}-${listener}.json`);
  await (await download).saveAs(file);
  return file;
}
export const report = (test, files, ...flags) => JSON.parse(run("report", `${test.name}.json`, ...files, "--json", ...flags));
