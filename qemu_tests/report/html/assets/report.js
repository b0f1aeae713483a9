"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const most = 2000;

  // The time line can be stretched.
  const picture = document.querySelector("svg.timeline");
  if (picture) {
    const least = Number(picture.getAttribute("width"));
    let factor = 1;
    const stretch = (by) => {
      const scroll = picture.parentElement;
      const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth;
      factor = Math.min(Math.max(factor * by, 1), 32);
      const base = Math.max(least, scroll.clientWidth);
      picture.setAttribute("width", String(Math.round(factor === 1 ? least : base * factor)));
      scroll.scrollLeft = middle * scroll.scrollWidth - scroll.clientWidth / 2;
    };
    byId("wider").addEventListener("click", () => stretch(1.5));
    byId("narrower").addEventListener("click", () => stretch(1 / 1.5));
    document.querySelector(".zoom").hidden = false;
  }

  const tools = document.querySelector(".tools");
  if (!tools) return;
  tools.hidden = false;
  const consoles = [...document.querySelectorAll("details.console")].map((details) => ({
    details,
    pre: details.querySelector("pre"),
    hits: details.querySelector(".hits"),
    text: details.querySelector("pre").textContent,
    lower: null,
  }));
  const field = byId("search");
  const found = byId("found");
  const all = byId("all");
  let marks = [];
  let at = -1;

  const mark = (entry, needle) => {
    // Case is folded letter by letter, so that places in both texts are the same.
    entry.lower ??= Array.from({ length: entry.text.length }, (_, i) => {
      const small = entry.text[i].toLowerCase();
      return small.length === 1 ? small : entry.text[i];
    }).join("");
    const parts = [];
    let from = 0;
    let hits = 0;
    for (let i = entry.lower.indexOf(needle); i >= 0; i = entry.lower.indexOf(needle, i + needle.length)) {
      hits += 1;
      if (marks.length >= most) continue;
      const node = document.createElement("mark");
      node.textContent = entry.text.slice(i, i + needle.length);
      parts.push(entry.text.slice(from, i), node);
      marks.push(node);
      from = i + needle.length;
    }
    if (hits || entry.marked) entry.pre.replaceChildren(...parts, entry.text.slice(from));
    entry.marked = hits > 0;
    entry.hits.textContent = hits ? ` ${hits} found` : "";
    return hits;
  };

  const show = (to) => {
    if (!marks.length) return;
    marks[at]?.classList.remove("current");
    at = (to + marks.length) % marks.length;
    marks[at].closest("details").open = true;
    marks[at].classList.add("current");
    marks[at].scrollIntoView({ block: "center", inline: "nearest" });
    found.textContent = `${at + 1} of ${found.dataset.total}`;
  };

  const search = () => {
    const needle = field.value.toLowerCase();
    marks = [];
    at = -1;
    if (!needle) {
      for (const entry of consoles) {
        if (entry.marked) entry.pre.replaceChildren(entry.text);
        entry.marked = false;
        entry.hits.textContent = "";
      }
      found.textContent = "";
      return;
    }
    const total = consoles.reduce((sum, entry) => sum + mark(entry, needle), 0);
    found.dataset.total = String(total);
    found.textContent = total ? `${total} found` : "not found";
  };

  let pending = 0;
  field.addEventListener("input", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(search);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      show(event.shiftKey ? at - 1 : at + 1);
    } else if (event.key === "Escape" && field.value) {
      event.preventDefault();
      field.value = "";
      search();
    }
  });
  tools.addEventListener("submit", (event) => event.preventDefault());
  byId("next").addEventListener("click", () => show(at + 1));
  byId("previous").addEventListener("click", () => show(at < 0 ? -1 : at - 1));
  all.addEventListener("click", () => {
    const open = all.getAttribute("aria-pressed") !== "true";
    for (const entry of consoles) entry.details.open = open;
    all.setAttribute("aria-pressed", String(open));
    all.textContent = open ? "Close all" : "Open all";
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && document.activeElement !== field) {
      event.preventDefault();
      field.focus();
    }
  });
})();
