"use strict";
// The item browser. All that models and speakers said is written as text, never as markup.
(() => {
  const source = document.getElementById("items-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PAGE = 4; // cards at a time
  const form = document.querySelector("#browser form");
  const cards = document.getElementById("browser-cards");
  const more = document.getElementById("browser-more");
  const count = document.getElementById("browser-count");
  let found = [], shown = 0;

  const make = (tag, words = "", name = "") => {
    const element = document.createElement(tag);
    element.textContent = words;
    if (name) element.className = name;
    return element;
  };
  const fill = (name, options) => {
    for (const [value, label] of [["", "all"], ...options]) {
      const option = make("option", label);
      option.value = value;
      form.elements[name].append(option);
    }
  };
  const kindOf = (kind, pair) => kind.replace("the system", pair.system).replace("the reference", pair.reference);
  const options = (clip) => clip.options.map((words, place) => `${String.fromCharCode(65 + place)} ${words}`);

  const line = (list, term) => {
    const row = document.createElement("div");
    const value = document.createElement("dd");
    row.append(make("dt", term), value);
    list.append(row);
    return value;
  };
  const sideOf = (clip, name) => {
    const side = clip.sides[name];
    const box = make("div", "", "side");
    const list = document.createElement("dl");
    box.append(make("h4", name), list);
    const heard = line(list, side.origin);
    cascadeWords.write(heard, side.transcribed ? clip.spoken : null, side.heard);
    line(list, "Said").textContent = side.raw;
    const verdict = line(list, "Read as");
    const mark = side.correct ? "\u2713 right" : "\u2717 wrong";
    verdict.append(`${side.parsed} `, make("span", mark, side.correct ? "right" : "wrong"));
    return box;
  };
  const soundOf = (clip) => {
    const where = clip.file === null ? "There is no clip file." : `It is in ${clip.file}.`;
    if (clip.audio === null) return make("p", `The clip is not in this page. ${where}`, "absent");
    const player = document.createElement("audio");
    player.controls = true;
    player.preload = "metadata";
    player.src = clip.audio;
    player.setAttribute("aria-label", `Clip ${clip.item}, voice ${clip.voice}`);
    player.addEventListener("error", () => {
      player.replaceWith(make("p", `This browser does not play the clip. ${where}`, "absent"));
    });
    return player;
  };
  // What a link to an item says: the two that are compared, and of which clip. It stays the same in another draw.
  const nameOf = (entry) => {
    const { system, reference } = data.pairs[entry.pair];
    const { task, condition, item, voice } = data.clips[entry.clip];
    return `item-${[system, reference, task, condition, item, voice].map(encodeURIComponent).join("/")}`;
  };
  const cardOf = (entry) => {
    const clip = data.clips[entry.clip], pair = data.pairs[entry.pair];
    const card = make("article", "", "item");
    const meta = make("p", "", "meta");
    const facts = [clip.item, `voice ${clip.voice}`, data.conditions[clip.condition]];
    if (clip.seconds !== null) facts.push(`${clip.seconds.toFixed(1)} s`);
    meta.append(...facts.map((fact) => make("span", fact)));
    const link = make("a", `${data.tasks[clip.task]}: ${kindOf(entry.kind, pair)}`, "anchor");
    link.href = `#${nameOf(entry)}`;
    const title = document.createElement("h3");
    title.append(link);
    card.append(title, meta, soundOf(clip));
    if (clip.spoken !== null) card.append(make("p", `\u201c${clip.spoken}\u201d`, "spoken"));
    const lettered = options(clip);
    if (lettered.length) card.append(make("p", lettered.join("; "), "soft"));
    const gold = make("p", "Right answer: ", "gold");
    gold.append(make("strong", clip.gold));
    const sides = make("div", "", "sides");
    sides.append(sideOf(clip, pair.system), sideOf(clip, pair.reference));
    card.append(gold, sides);
    const item = document.createElement("li");
    item.id = nameOf(entry);
    item.tabIndex = -1;
    item.append(card);
    return item;
  };

  const said = (clip, pair) => {
    const sides = [clip.sides[pair.system], clip.sides[pair.reference]];
    const parts = [clip.item, clip.spoken || "", clip.gold, ...options(clip)];
    return [...parts, ...sides.flatMap((side) => [side.heard, side.raw, side.parsed])].join(" ").toLowerCase();
  };
  const fits = (entry, wanted) => {
    const clip = data.clips[entry.clip];
    const matches = (name, value) => wanted[name] === "" || wanted[name] === value;
    if (!matches("pair", String(entry.pair)) || !matches("kind", entry.kind)) return false;
    if (!["task", "voice", "condition"].every((name) => matches(name, clip[name]))) return false;
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return true;
    const text = said(clip, data.pairs[entry.pair]);
    return words.every((word) => text.includes(word));
  };
  const extend = () => {
    const next = found.slice(shown, shown + PAGE).map(cardOf);
    cards.append(...next);
    shown += next.length;
    more.hidden = shown >= found.length;
    const items = found.length === 1 ? "1 item" : `${found.length} items`;
    count.textContent = found.length ? `${items}, ${shown} shown` : "No item is like that.";
    return next[0];
  };
  const renew = () => {
    const wanted = Object.fromEntries(new FormData(form));
    found = data.entries.filter((entry) => fits(entry, wanted));
    shown = 0;
    cards.replaceChildren();
    extend();
  };

  fill("pair", data.pairs.map((pair, place) => [String(place), `${pair.system} vs. ${pair.reference}`]));
  fill("task", Object.entries(data.tasks));
  fill("kind", data.kinds.map((kind) => [kind, kind]));
  fill("voice", [...new Set(data.clips.map((clip) => clip.voice))].sort().map((voice) => [voice, voice]));
  fill("condition", Object.entries(data.conditions));
  const choose = (wanted) => {
    for (const element of form.elements) if (element.name) element.value = wanted[element.name] ?? "";
    renew();
  };
  // Shared errors tell most, so they are shown first.
  const first = () => {
    const shared = data.entries.find((entry) => entry.kind === data.first);
    choose(shared ? { pair: String(shared.pair), kind: data.first } : { pair: data.pairs.length ? "0" : "" });
  };
  const goTo = (place) => {
    while (place >= shown && shown < found.length) extend();
    const card = cards.children[place];
    if (!card) return;
    card.focus();
    card.scrollIntoView({ block: "nearest" });
    history.replaceState(null, "", `#${card.id}`);
  };
  const follow = () => {
    const entry = data.entries.find((each) => location.hash === `#${nameOf(each)}`);
    if (!entry) return;
    if (!found.includes(entry)) choose({ pair: String(entry.pair), task: data.clips[entry.clip].task });
    goTo(found.indexOf(entry));
  };
  const isSeen = () => {
    const { top, bottom } = cards.getBoundingClientRect(), middle = window.innerHeight / 2;
    return top < middle && bottom > middle;
  };
  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = document.activeElement;
    if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (at.closest("input, select, audio, .scroll") || !(at.closest("#items") || isSeen())) return;
    event.preventDefault();
    const all = [...cards.children], here = all.indexOf(at.closest("#browser-cards > li"));
    const next = here < 0 ? all.findIndex((card) => card.getBoundingClientRect().top >= 0) : here + step;
    goTo(Math.max(0, next));
  });
  addEventListener("hashchange", follow);
  document.addEventListener("play", (event) => {
    for (const other of document.querySelectorAll("audio")) if (other !== event.target) other.pause();
  }, true);
  form.addEventListener("input", renew);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(renew));
  more.addEventListener("click", () => extend().focus());
  for (const link of document.querySelectorAll("a.look")) {
    const { system, reference, task } = link.dataset;
    const pair = data.pairs.findIndex((each) => each.system === system && each.reference === reference);
    if (pair < 0 || !data.entries.some((each) => each.pair === pair && data.clips[each.clip].task === task)) continue;
    link.hidden = false;
    link.addEventListener("click", () => choose({ pair: String(pair), task }));
  }
  document.getElementById("browser").hidden = false;
  first();
  follow();
})();
