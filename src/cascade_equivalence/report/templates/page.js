"use strict";
// The contents follow the reader, and what is folded is printed too.
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

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const each of folded) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
})();
