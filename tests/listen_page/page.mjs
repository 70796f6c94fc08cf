// The page of a listening test in a real browser: `node page.mjs PLAYWRIGHT CHROMIUM CSM FOLDER`. Listeners who answer, hurry, reload,
// open a second tab or have no storage; every promise of the page is checked, and `csm listen report` reads what it saves.
import { createServer } from "node:http";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { answerTrial, begin, browser, check, csm, errors, folder, hearAll, make, named, open, playable, progress, report, run, whole } from "./browser.mjs";

const scenarios = {
  async "listeners of five kinds are told apart by the report"() {
    const abx = make("abx", "abx", 2, 1, "--trials", "8", "--repeats", "3");
    const right = (stimuli, x) => (x === 0 ? "X is A" : "X is B");
    const file = await whole(await open(abx), abx, 1, right, "right");
    const found = report(abx, [file]);
    check(found.findings[0].successes === 8 && found.listeners[0].consistent[0] === 3, JSON.stringify(found.findings));
    const saved = JSON.parse(readFileSync(file));
    check(saved.list === 0 && saved.answers.every((a) => a.heard.length === 3 && a.heard.every((s) => s >= 0.4)), "seconds heard");

    const preference = make("preference", "preference", 2, 2, "--trials", "2");
    const likes = (c) => (stimuli) => (stimuli[0].condition === c ? "A is better" : "B is better");
    const files = [
      await whole(await open(preference), preference, 1, likes(0), "first"),
      await whole(await open(preference, { number: 2 }), preference, 2, likes(0), "second"),
      await whole(await open(preference, { number: 3 }), preference, 3, () => "Equally good", "ties"),
    ];
    const pair = report(preference, files).findings[0];
    check(pair.successes === 8 && pair.ties === 4 && pair.listeners === 3, JSON.stringify(pair));

    const rating = make("rating", "rating", 3, 2, "--low-anchor", "--reference", "condition2");
    const rate = (stimuli) => stimuli.map((s) => [40, 60, 100, 5][s.condition]);
    const blind = (stimuli) => stimuli.map((s) => [40, 60, 70, 90][s.condition]);
    const rated = report(rating, [
      await whole(await open(rating), rating, 1, rate, "attentive"),
      await whole(await open(rating, { number: 4 }), rating, 4, blind, "careless"),
    ]);
    check(rated.listeners[0].screened_out.length === 0 && rated.listeners[1].screened_out.length >= 2, JSON.stringify(rated.listeners));
    check(rated.scores.map((s) => s.mean).join() === "40,60,100,5", JSON.stringify(rated.scores));

    const comparison = make("comparison", "comparison", 2, 1, "--trials", "2", "--language", "de");
    const page = await open(comparison);
    await page.getByLabel("Ihr Name").fill("Eva");
    await named(page, "Beginnen").click();
    await playable(page).first().waitFor();
    await hearAll(page);
    check(await named(page, "Etwa gleich").isEnabled(), "German labels");
  },

  async "no answer is lost by a reload, a second tab, the wrong button or blocked storage"() {
    const test = make("lost", "opinion", 2, 3);
    const context = await browser.newContext({ acceptDownloads: true });
    const first = await open(test, { context });
    await begin(first);
    for (let n = 0; n < 2; n += 1) await answerTrial(first, test, 1, () => "3 fair");
    await first.reload();
    check((await first.textContent("main")).includes("2 are answered"), "reload");
    const second = await open(test, { context });
    await begin(first);
    check(await progress(first) === 2, "resumed");
    await answerTrial(first, test, 1, () => "4 good");
    // The second tab was opened before that answer, and begins after it.
    await named(second, "Continue").click();
    check((await second.textContent("main")).includes("3 are answered"), "the newer answers are taken over");
    await named(second, "Continue").click();
    await second.locator(".sounds button").first().waitFor();
    await first.waitForFunction(() => document.body.textContent.includes("another tab"));
    check(await progress(second) === 3, "no answer is overwritten");
    await second.goBack().catch(() => {});
    await second.goto(`${test.url}?number=1`);
    await named(second, "Start over with a new listener").click();
    check((await second.textContent("main")).includes("3 answers of Ada"), "asks before it deletes");
    await named(second, "Cancel").click();
    check((await second.textContent("main")).includes("3 are answered"), "nothing is deleted");
    await named(second, "Start over with a new listener").click();
    const download = second.waitForEvent("download");
    await named(second, "Save and start over").click();
    check(JSON.parse(readFileSync(await (await download).path())).answers.length === 3, "saved before");

    const blocked = await open(test, { init: () => Object.defineProperty(window, "localStorage", { get() { throw new Error("blocked"); } }) });
    check((await blocked.textContent(".warning")).includes("keeps nothing"), "says that nothing is kept");
    await begin(blocked);
    await answerTrial(blocked, test, 1, () => "3 fair");
    const asked = blocked.waitForEvent("dialog");
    await blocked.close({ runBeforeUnload: true });
    await (await asked).accept();
  },

  async "a rating is given by moving or confirming, of sounds that were heard"() {
    const test = make("moved", "rating", 2, 1);
    const page = await open(test);
    await begin(page);
    const next = named(page, "Next"), sliders = page.locator(".scale input");
    check(await next.isDisabled() && await sliders.nth(0).isDisabled(), "nothing was heard");
    for (let n = 0; n < 3; n += 1) await playable(page).nth(0).click({ delay: 0, noWaitAfter: true });
    await hearAll(page);
    check(await next.isDisabled() && (await page.textContent(".hint")).includes("A, B"), "nothing was moved");
    await page.waitForTimeout(700); // both sounds have ended
    check(await sliders.nth(0).isEnabled() && await sliders.nth(1).isEnabled(), "a short sound can be rated after its end");
    await sliders.nth(0).press("ArrowRight");
    check(await next.isDisabled(), "one is not rated");
    await sliders.nth(1).press("Enter");
    check(await next.isEnabled() && (await page.locator(".scale output").nth(1).textContent()).startsWith("50"), "the middle is confirmed");
    const download = page.waitForEvent("download");
    await next.click();
    const { answers } = JSON.parse(readFileSync(await (await download).path()));
    check(answers[0].choice.values.join() === "51,50", JSON.stringify(answers[0].choice));
  },

  async "keys do what has the focus says, and no mouse is needed"() {
    const test = make("keys", "preference", 2, 2, "--trials", "1");
    const page = await open(test);
    await page.getByLabel("Your name").focus();
    await page.keyboard.type("Key");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".sounds button").first().waitFor();
    check(await page.evaluate(() => document.activeElement.textContent) === "▶ A", "the focus is on the first sound");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".sounds button").classList.contains("heard"));
    check(await progress(page) === 0, "Enter on a sound answers nothing");
    await page.waitForTimeout(200); // to its end; before it the next one would go on at the same moment
    await page.keyboard.press("Tab");
    await page.keyboard.press(" ");
    await page.waitForFunction(() => document.querySelectorAll(".sounds button")[1].classList.contains("heard"));
    await page.keyboard.press("A");
    await page.waitForFunction(() => document.querySelector("progress")?.value === 1);
    await page.keyboard.press("u");
    await page.waitForFunction(() => document.querySelector("progress")?.value === 0);
    check(await named(page, "A is better").isEnabled(), "what was heard stays heard");
    await page.keyboard.press("=");
    await page.waitForFunction(() => document.querySelector("progress")?.value === 1);
    await page.keyboard.press("1");
    await page.waitForFunction(() => document.querySelector(".sounds button").classList.contains("heard"));
    await page.waitForTimeout(200);
    await page.keyboard.press("2");
    await page.waitForFunction(() => document.querySelectorAll(".sounds button")[1].classList.contains("heard"));
    const download = page.waitForEvent("download");
    await page.keyboard.press("b");
    const { answers } = JSON.parse(readFileSync(await (await download).path()));
    check(answers[0].choice === "tie" && answers[1].choice === "second", JSON.stringify(answers));

    const opinion = make("digits", "opinion", 1, 2);
    const digits = await open(opinion);
    await begin(digits);
    await digits.keyboard.press("1");
    check(await progress(digits) === 0, "nothing was heard, so that a digit answers nothing");
    await digits.keyboard.press("a");
    await digits.waitForFunction(() => document.querySelector(".sounds button").classList.contains("heard"));
    await digits.keyboard.press("5");
    await digits.waitForFunction(() => document.querySelector("progress")?.value === 1);
  },

  async "a study has instructions, volume, headphones, questions, breaks, and sends its results"() {
    writeFileSync(join(folder, "instructions.txt"), "Listen to the voice.\n\nIgnore the words.");
    const sent = [];
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => { body += part; });
      request.on("end", () => {
        response.writeHead(200, { "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*" });
        if (request.method === "POST") sent.push(JSON.parse(body));
        response.end();
      });
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const test = make(
      "study", "opinion", 2, 3, "--instructions", "instructions.txt", "--volume-page", "--headphone-check", "--ask", "Native language?",
      "--ask", "Age group?=18-30|31-50|51 and over", "--break-every", "3", "--training", "1", "--post",
      `http://127.0.0.1:${server.address().port}/results`, "--completion", "CODE-7",
    );
    const page = await open(test, { query: "&PROLIFIC_PID=p123" });
    check((await page.textContent("main")).includes("Ignore the words."), "instructions");
    check(await page.getByLabel("Your name").inputValue() === "p123", "the platform's name");
    await named(page, "Begin").click();
    await named(page, "The volume is set").waitFor();
    await named(page, "Play").click();
    await named(page, "The volume is set").click();
    for (let n = 0; n < 6; n += 1) {
      await named(page, "Play the three sounds").click();
      await page.waitForTimeout(50);
      await named(page, "First").click();
    }
    const failed = (await page.textContent("main")).includes("headphones only");
    if (failed) await named(page, "Continue").click();
    await page.getByLabel("Native language?").fill("English");
    await named(page, "Next").click();
    check((await page.textContent("main")).includes("About you"), "every question is answered");
    await page.getByLabel("Age group?").selectOption("31-50");
    await named(page, "Next").click();
    check((await page.textContent("main")).includes("Practice"), "practice comes first");
    for (let n = 0; n < 7; n += 1) {
      await answerTrial(page, test, 1, () => "4 good");
      if (n === 2 || n === 5) {
        check((await page.textContent("h1")).includes("break"), `a break after ${n + 1}`);
        await named(page, "Continue").click();
      }
    }
    await page.waitForFunction(() => document.body.textContent.includes("have been sent"));
    check((await page.textContent(".completion")) === "CODE-7", "the code");
    const [results] = sent;
    check(results.answers.length === 7 && results.questionnaire["Age group?"] === "31-50" && results.headphone_check.of === 6, JSON.stringify(results).slice(0, 400));
    const file = join(folder, "sent.json");
    writeFileSync(file, JSON.stringify(results));
    const found = report(test, [file]);
    check(found.listeners[0].listener === "p123" && found.listeners[0].answers.join() === "7,7", JSON.stringify(found.listeners));
    check(!failed || found.listeners[0].screened_out.some((reason) => reason.includes("headphones")), "the check counts");
    server.close();
  },

  async "text can be read: contrast of WCAG AA, in light and dark, at 400 pixels"() {
    const test = make("contrast", "rating", 3, 1, "--reference", "condition0");
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ colorScheme, viewport: { width: 400, height: 800 } });
      const page = await open(test, { context });
      const worst = () => page.evaluate(() => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
        const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
        const under = (at) => { for (let e = at; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
        let worst = { ratio: 99 };
        for (const e of document.querySelectorAll("h1, p, button:not(:disabled), label, span, output")) {
          if (!e.textContent.trim() || !e.offsetParent) continue;
          const [a, b] = [light(rgb(getComputedStyle(e).color)), light(under(e))].sort((x, y) => y - x);
          const ratio = (a + 0.05) / (b + 0.05);
          if (ratio < worst.ratio) worst = { ratio, text: e.textContent.slice(0, 40) };
        }
        return { ...worst, wide: document.documentElement.scrollWidth > 400 };
      });
      const check_screen = async (where) => { const found = await worst(); check(found.ratio >= 4.5 && !found.wide, `${colorScheme} ${where}: ${JSON.stringify(found)}`); };
      await check_screen("welcome");
      await begin(page);
      await check_screen("trial");
      await hearAll(page);
      await check_screen("heard");
      await page.screenshot({ path: join(folder, `page-${colorScheme}.png`) });
    }
  },

  async "a word is looped in every sound, and counts only for itself"() {
    const takes = join(folder, "takes");
    for (const mode of ["native", "exact"]) {
      const say = ["generate", "--text", "The boat sailed.", "--seed", "1", "--sampling", mode, `--take=${takes}`, "--output", join(folder, `${mode}.wav`)];
      execFileSync(csm, say, { stdio: "ignore" });
    }
    const folders = readdirSync(takes).filter((name) => !name.startsWith(".")).map((name) => join(takes, name));
    const files = ["--output", "loop.json", "--page", "loop.html"];
    run("new", "--kind", "preference", "--by", "mode", ...folders, "--trials", "2", "--seed", "5", ...files, "--loop-words");
    const page = await open({ name: "loop", url: pathToFileURL(join(folder, "loop.html")).href });
    await begin(page);
    const words = page.locator(".words button");
    check((await words.allTextContents()).join() === "The,boat,sailed.", "words");
    await words.nth(1).click();
    await page.waitForTimeout(1_500); // longer than the sound
    const heard = (n) => playable(page).nth(n).evaluate((b) => [b.classList.contains("playing"), b.classList.contains("heard")].join());
    check(await heard(0) === "true,false", `A: ${await heard(0)}`);
    await playable(page).nth(1).click();
    await page.waitForTimeout(1_500);
    check(await heard(1) === "true,false" && await words.nth(1).getAttribute("aria-pressed") === "true", `B: ${await heard(1)}`);
    await words.nth(1).click();
    await page.waitForTimeout(200);
    check(await heard(1) === "false,false", "the loop ends");
    await hearAll(page);
    await named(page, "A is better").click();
    check(await progress(page) === 1, "answered");
  },
};

let failed = 0;
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    await scenario();
    check(errors.length === 0, `errors in the page: ${errors.splice(0).join("; ")}`);
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
