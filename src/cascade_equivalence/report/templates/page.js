"use strict";
// The contents follow the reader, what a link leads to is unfolded, and what is folded is printed too.
(() => {
  const links = [...document.querySelectorAll(".contents a")];
  const targets = new Map(links.map((link) => [document.getElementById(link.hash.slice(1)), link]));
  const mark = () => {
    const line = window.innerHeight / 4;
    let current = links[0];
    for (const [target, link] of targets) {
      if (target && target.getBoundingClientRect().top <= line) current = link;
    }
    if (current.hasAttribute("aria-current")) return;
    for (const link of links) link.removeAttribute("aria-current");
    current.setAttribute("aria-current", "true");
    const box = current.closest(".contents");
    const { top, bottom, left, right } = current.getBoundingClientRect();
    const frame = box.getBoundingClientRect();
    if (top < frame.top || bottom > frame.bottom) box.scrollTop += top - frame.top - frame.height / 2;
    if (left < frame.left || right > frame.right) box.scrollLeft += left - frame.left - frame.width / 3;
  };
  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  mark();

  const unfold = (target) => {
    // A part that is one fold is led to by its heading.
    const own = target.querySelectorAll(":scope > details.fold");
    if (own.length === 1) own[0].open = true;
    for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  };
  const follow = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    unfold(target);
    target.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const target = link && document.getElementById(link.hash.slice(1));
    if (target) unfold(target);
  });
  if (location.hash) follow();

  const all = document.createElement("button");
  all.type = "button";
  all.className = "unfold";
  all.textContent = "Unfold all";
  all.addEventListener("click", () => {
    const folds = [...document.querySelectorAll("details.fold")];
    const open = folds.some((each) => !each.open);
    for (const each of folds) each.open = open;
    all.textContent = open ? "Fold all" : "Unfold all";
  });
  document.querySelector(".contents").append(all);

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
})();
