// Shows the values under the pointer. Each area carries them as its title, which browsers show on
// their own, late and small; this moves them into a box beside the pointer.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const cursor = document.createElementNS(document.querySelector("svg").namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  const lines = new Map();
  for (const area of document.querySelectorAll(".hit")) {
    const title = area.querySelector("title");
    lines.set(area, title.textContent.split("\n"));
    title.remove();
  }

  const hide = () => {
    tip.hidden = true;
    cursor.remove();
  };

  const fill = (area) => {
    const looks = area.dataset.looks.split(" ");
    tip.replaceChildren(...lines.get(area).map((text, index) => {
      const row = document.createElement("div");
      if (index > 0 && looks[index - 1]) {
        const dot = document.createElement("i");
        dot.className = looks[index - 1];
        row.append(dot);
      }
      row.append(text);
      return row;
    }));
  };

  const mark = (area) => {
    const box = area.getBBox();
    // Areas as tall as the field are columns of it; the others stand around a single mark.
    if (box.height < 100) {
      cursor.remove();
      return;
    }
    const place = area.dataset.at;
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.setAttribute("y1", box.y);
    cursor.setAttribute("y2", box.y + box.height);
    area.parentNode.append(cursor);
  };

  const show = (event) => {
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const area = under && under.closest(".hit");
    if (!area) {
      hide();
      return;
    }
    fill(area);
    mark(area);
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const beside = event.clientX + 16 > room ? event.clientX - tip.offsetWidth - 16 : event.clientX + 16;
    tip.style.left = `${Math.max(8, Math.min(room, beside)) + window.scrollX}px`;
    tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 12) + window.scrollY}px`;
  };

  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("pointercancel", hide);
  // A finger that is lifted leaves too, and what it touched is to be read then.
  document.addEventListener("pointerleave", (event) => event.pointerType === "touch" || hide());
  document.addEventListener("scroll", hide, { passive: true });

  // Each figure can be saved: its picture, with the page's colours in it, and its numbers.
  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const looks = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "opacity",
    "font-family", "font-size", "font-weight", "paint-order"];
  const picture = (figure) => {
    const shown = figure.querySelector(":scope > svg");
    const copy = shown.cloneNode(true);
    const copies = copy.querySelectorAll("*");
    shown.querySelectorAll("*").forEach((element, index) => {
      const style = getComputedStyle(element);
      for (const look of looks) copies[index].style.setProperty(look, style.getPropertyValue(look));
    });
    copy.querySelectorAll(".hit:not(.cell), .cursor").forEach((element) => element.remove());
    const [, , width, height] = shown.getAttribute("viewBox").split(" ");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.style.background = getComputedStyle(figure).backgroundColor;
    return new XMLSerializer().serializeToString(copy);
  };
  for (const figure of document.querySelectorAll("figure")) {
    const title = figure.querySelector("h3").textContent;
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
    const ways = [
      ["SVG", () => save(`${name}.svg`, "image/svg+xml", picture(figure))],
      ["CSV", () => save(`${name}.csv`, "text/csv", figure.querySelector("template").content.textContent)],
    ];
    const bar = document.createElement("div");
    bar.className = "save";
    bar.append(...ways.map(([text, click]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.setAttribute("aria-label", `Save "${title}" as ${text}`);
      button.addEventListener("click", click);
      return button;
    }));
    figure.append(bar);
  }
})();
