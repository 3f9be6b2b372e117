// What can be measured in a page. The value of this file is an object of functions.
({
  // Every picture with its box, its figure's box, how much is drawn in it and which words leave the figure.
  pictures: () => [...document.querySelectorAll('svg[role="img"]')].map((picture) => {
    const plain = ({ left, top, right, bottom, width, height }) => ({ left, top, right, bottom, width, height });
    const figure = picture.closest("figure");
    const frame = figure ? figure.getBoundingClientRect() : null;
    const outside = (box) => box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom;
    const shapes = [...picture.querySelectorAll("polyline, polygon, circle, path, image, rect:not(.hit), .cell")];
    const visible = shapes.filter((shape) => {
      const box = shape.getBoundingClientRect();
      const look = getComputedStyle(shape);
      const paint = [look.fill, look.stroke].some((colour) => colour !== "none" && colour !== "rgba(0, 0, 0, 0)");
      return box.width + box.height > 0 && (paint || shape.localName === "image") && look.visibility === "visible";
    });
    return {
      name: picture.getAttribute("aria-label") || "",
      box: plain(picture.getBoundingClientRect()),
      frame: frame && plain(frame),
      shapes: visible.length,
      hits: picture.querySelectorAll(".hit").length,
      strays: frame ? [...picture.querySelectorAll("text")].filter((text) => outside(text.getBoundingClientRect())).map((text) => text.textContent) : [],
    };
  }),

  // Lines of legends that lack their words or their number, and legends without lines.
  legends: () => [...document.querySelectorAll(".legend")].flatMap((legend) => {
    const name = legend.closest("figure")?.querySelector("h3")?.innerText ?? "no figure";
    if (legend.children.length === 0) return [`${name}: no line`];
    const said = (part) => part && part.innerText.trim() && part.getBoundingClientRect().width > 0;
    return [...legend.children].filter((line) => ![...line.querySelectorAll("span, b")].every(said) || !said(line))
      .map((line) => `${name}: ${line.outerHTML}`);
  }),

  // How wide the page is laid out, how wide its content is, and what is wider than the page.
  width: () => {
    const { clientWidth, scrollWidth } = document.documentElement;
    const wide = [...document.querySelectorAll("body *")].filter((element) =>
      element.getBoundingClientRect().right > clientWidth + 1 && !element.closest(".wide > *, svg"));
    return { page: clientWidth, content: scrollWidth, wide: wide.map((element) => element.outerHTML.slice(0, 80)) };
  },

  // The relative luminance of the page's ground, and words that stand out too little from what is behind them.
  colours: () => {
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = ([red, green, blue]) => {
      const linear = (part) => part <= 10.31475 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
      return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    };
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = numbers(getComputedStyle(at).backgroundColor);
        if (colour.length === 3 || colour[3] > 0) return colour;
      }
      return [255, 255, 255];
    };
    const words = [...document.querySelectorAll("body *")].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()) && element.getClientRects().length > 0);
    const faint = words.filter((element) => {
      const look = getComputedStyle(element);
      const own = luminance(numbers(element.closest("svg") ? look.fill : look.color));
      const behind = luminance(ground(element));
      return (Math.max(own, behind) + 0.05) / (Math.min(own, behind) + 0.05) < 4.5;
    });
    return { ground: luminance(ground(document.body)), faint: [...new Set(faint.map((element) => element.textContent.slice(0, 40)))] };
  },

  // The first and the last spot of every picture that has values, as indices into all spots.
  spots: () => {
    const all = [...document.querySelectorAll(".hit")];
    const ends = [...document.querySelectorAll('svg[role="img"]')].flatMap((picture) => {
      const hits = [...picture.querySelectorAll(".hit")];
      return hits.length ? [hits[0], hits[hits.length - 1]] : [];
    });
    return [...new Set(ends)].map((hit) => all.indexOf(hit));
  },

  // Brings a spot into view. Its middle, and the values that the page's source gives to what is uppermost there.
  aim: async (index, source) => {
    const spots = [...document.querySelectorAll(".hit")];
    spots[index].scrollIntoView({ block: "center", behavior: "instant" });
    // The page learns of the scrolling with the next frame.
    await new Promise((done) => requestAnimationFrame(done));
    const box = spots[index].getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const upper = spots.indexOf(document.elementFromPoint(x, y)?.closest(".hit"));
    const titles = new DOMParser().parseFromString(source, "text/html").querySelectorAll(".hit > title");
    return { x, y, values: titles[upper]?.textContent.split("\n") ?? ["no value in the page's source"] };
  },

  // The lines of the box beside the pointer, if it is shown and inside the window.
  tip: async () => {
    await new Promise((done) => requestAnimationFrame(done));
    const tip = document.querySelector(".tip");
    if (!tip || tip.getClientRects().length === 0) return null;
    const box = tip.getBoundingClientRect();
    const inside = box.left >= 0 && box.top >= 0 && box.right <= document.documentElement.clientWidth && box.bottom <= window.innerHeight;
    return { lines: [...tip.children].map((line) => line.innerText.trim()), inside };
  },

  // What a PDF says of itself.
  pdf: (base64) => {
    const bytes = atob(base64);
    return { start: bytes.slice(0, 5), bytes: bytes.length, pages: (bytes.match(/\/Type\s*\/Page\b/g) ?? []).length };
  },
})
