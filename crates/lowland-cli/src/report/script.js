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
})();
