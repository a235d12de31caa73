"use strict";
// What a transcript leaves out of what was said, and what it puts in, word by word.
const cascadeWords = (() => {
  const MOST = 400; // words; longer texts are shown unmarked
  const split = (text) => text.split(/\s+/).filter(Boolean);
  // Case and punctuation are no difference in what was heard.
  const bare = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || word;

  // Longest common subsequence; returns [mark, word] with the marks "same", "out" and "in".
  const compare = (said, heard) => {
    const a = split(said), b = split(heard);
    if (a.length > MOST || b.length > MOST) return null;
    const left = a.map(bare), right = b.map(bare);
    const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        best[i][j] = left[i] === right[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
      }
    }
    const found = [];
    let i = 0, j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && left[i] === right[j]) {
        found.push(["same", b[j]]);
        i++; j++;
      } else if (i < a.length && (j === b.length || best[i + 1][j] >= best[i][j + 1])) {
        found.push(["out", a[i++]]);
      } else {
        found.push(["in", b[j++]]);
      }
    }
    return found;
  };

  // Write a transcript into an element, its differences marked; never as markup.
  const write = (element, said, heard) => {
    const found = said === null ? null : compare(said, heard);
    if (!found) {
      element.textContent = heard;
      return;
    }
    const tags = { out: "del", in: "ins" };
    const runs = [];
    for (const [mark, word] of found) {
      const last = runs.at(-1);
      if (last && last[0] === mark) last[1].push(word);
      else runs.push([mark, [word]]);
    }
    runs.forEach(([mark, words], place) => {
      if (place) element.append(" ");
      const part = document.createElement(tags[mark] || "span");
      part.textContent = words.join(" ");
      element.append(part);
    });
  };
  return { compare, write };
})();
