// A whole study: 100 items in three conditions, 20 listeners who hear ten items each, in a browser; its truth is known. Leaves study.json,
// the results and the tables in FOLDER for tests/listening_study.sh.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browser, check, errors, folder, make, named, open, playable, progress, run } from "./browser.mjs";

const ITEMS = 100, LISTENERS = 20, EACH = 10;
const EFFECTS = [0, 0.1, 0.9]; // the third condition is better, the second hardly

/// Numbers that are the same in every run.
let state = 20260928;
const uniform = () => { state = (state * 1664525 + 1013904223) % 4294967296; return (state + 0.5) / 4294967296; };
const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());

const study = make("study", "opinion", EFFECTS.length, ITEMS, "--listeners", String(LISTENERS), "--items-per-listener", String(EACH), "--spread", "0.5");
const ofItems = Array.from({ length: ITEMS }, () => 0.4 * normal());

async function listen(number) {
  const page = await open(study, { number });
  const bias = 0.5 * normal();
  await page.getByLabel("Your name").fill(`Listener ${number}`);
  await named(page, "Begin").click();
  await playable(page).first().waitFor();
  const list = study.test.lists[number - 1];
  check(list.length === EACH * EFFECTS.length, "a list of ten items");
  for (let n = 0; n < list.length; n += 1) {
    check(await progress(page) === n, "in the order of the list");
    const { item, condition } = study.test.stimuli[list[n].stimuli[0]];
    const opinion = Math.min(5, Math.max(1, Math.round(3 + EFFECTS[condition] + bias + ofItems[item] + 0.7 * normal())));
    await playable(page).first().click();
    await page.waitForFunction(() => document.querySelector(".sounds button").classList.contains("heard"));
    const download = n === list.length - 1 ? page.waitForEvent("download") : null;
    await page.locator(".votes button").nth(opinion - 1).click();
    if (download) await (await download).saveAs(join(folder, `listener-${number}.json`));
  }
  await page.context().close();
}
const numbers = Array.from({ length: LISTENERS }, (_, n) => n + 1);
for (let n = 0; n < LISTENERS; n += 5) await Promise.all(numbers.slice(n, n + 5).map(listen));
await browser.close();
check(errors.length === 0, errors.join("; "));
const files = numbers.map((n) => `listener-${n}.json`);
writeFileSync(join(folder, "report.json"), run("report", "study.json", ...files, "--json", "--long", "long.csv", "--html", "report.html", "--methods", "methods.txt"));
const report = JSON.parse(readFileSync(join(folder, "report.json")));
for (const { question, estimate, interval, p, p_corrected } of report.findings) console.log(`${question}: ${estimate.toFixed(2)} [${interval.map((x) => x.toFixed(2))}], p ${p.toFixed(4)}, corrected ${p_corrected.toFixed(4)}`);
