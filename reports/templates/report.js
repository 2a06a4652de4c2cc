
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const button = (text, act) => {
    const made = make("button", { type: "button", className: "text", textContent: text });
    made.addEventListener("click", act);
    return made;
  };

  // A picture shown a second time is a link to the first; its bytes are in the page only once.
  const repeat = (link) => {
    const first = document.getElementById(link.hash.slice(1));
    if (!first) return;
    const copy = first.cloneNode();
    copy.removeAttribute("id");
    copy.alt = link.dataset.alt;
    copy.className = link.dataset.class ?? "";
    link.replaceWith(copy);
  };

  // Enlarged pictures: one dialog for the page, arrow keys walk through all pictures.
  const dialog = make("dialog", { id: "zoom", ariaLabel: "Enlarged picture" });
  const view = make("div", { className: "view", tabIndex: 0 });
  const words = make("p");
  const pictures = [];
  let current = 0;

  const show = (index) => {
    current = (index + pictures.length) % pictures.length;
    const copy = pictures[current].cloneNode();
    copy.removeAttribute("id");
    view.replaceChildren(copy);
    words.textContent = `${current + 1} of ${pictures.length}: ${copy.alt}`;
  };

  const enlarge = (image) => {
    show(pictures.indexOf(image));
    dialog.showModal();
  };

  const buildDialog = () => {
    const actual = button("Actual size", () => {
      actual.textContent = dialog.classList.toggle("actual") ? "Fit to window" : "Actual size";
    });
    const bar = make("div", { className: "bar" });
    bar.append(
      button("Previous", () => show(current - 1)),
      button("Next", () => show(current + 1)),
      actual,
      button("Close", () => dialog.close()),
    );
    words.ariaLive = "polite";
    dialog.append(bar, view, words);
    dialog.addEventListener("keydown", (event) => {
      if (dialog.classList.contains("actual") && event.target === view) return;
      if (event.key === "ArrowLeft") show(current - 1);
      if (event.key === "ArrowRight") show(current + 1);
    });
    view.addEventListener("click", (event) => {
      if (event.target === view) dialog.close();
    });
    document.body.append(dialog);
  };

  const makeZoomable = (mat) => {
    const image = mat.querySelector("img");
    if (!image) return;
    pictures.push(image);
    const opener = make("button", { type: "button", className: "zoom", ariaLabel: `Enlarge: ${image.alt}` });
    opener.addEventListener("click", () => enlarge(image));
    image.replaceWith(opener);
    opener.append(image);
  };

  // Before and after: a range input over the stacked pictures moves the edge of the upper one.
  const makeSlider = (compare) => {
    const sides = compare.querySelector(".sides");
    const [before, after, outline] = all("img", sides);
    if (!before || !after) return;
    pictures.push(before, after);
    const range = make("input", { type: "range", className: "slide", min: 0, max: 100, step: 0.5, value: 50 });
    range.ariaLabel = "Where the picture before ends and the picture after begins";
    const move = () => {
      sides.style.setProperty("--cut", `${range.value}%`);
      range.ariaValueText = `${Math.round(range.value)} % before, ${Math.round(100 - range.value)} % after`;
    };
    range.addEventListener("input", move);
    move();
    sides.append(make("div", { className: "line" }), range);
    compare.classList.add("live");

    const controls = make("div", { className: "controls" });
    if (outline) {
      const box = make("input", { type: "checkbox" });
      box.addEventListener("change", () => sides.classList.toggle("outlined", box.checked));
      controls.append(make("label", {}, box, "Outline of the region"));
    }
    controls.append(button("Enlarge before", () => enlarge(before)), button("Enlarge after", () => enlarge(after)));
    compare.querySelector(".mat").after(controls);
  };

  // Pictures magnified in step: one range and one place for all of a group.
  const makeLinked = (group) => {
    const at = { zoom: 1, x: 0.5, y: 0.5 };
    const range = make("input", { type: "range", min: 1, max: 8, step: 0.1, value: 1 });
    const draw = (change) => {
      Object.assign(at, change);
      at.zoom = Math.min(8, Math.max(1, at.zoom));
      const half = 0.5 / at.zoom;
      for (const axis of ["x", "y"]) {
        at[axis] = Math.min(1 - half, Math.max(half, at[axis]));
        group.style.setProperty(`--${axis}`, `${(0.5 - at[axis]) * 100}%`);
      }
      group.style.setProperty("--zoom", at.zoom);
      group.classList.toggle("magnified", at.zoom > 1);
      range.value = at.zoom;
      range.ariaValueText = `${at.zoom.toFixed(1)} times`;
    };
    const move = (x, y) => draw({ x: at.x + x / at.zoom, y: at.y + y / at.zoom });
    const keys = {
      ArrowLeft: () => move(-0.1, 0),
      ArrowRight: () => move(0.1, 0),
      ArrowUp: () => move(0, -0.1),
      ArrowDown: () => move(0, 0.1),
      "+": () => draw({ zoom: at.zoom * 1.5 }),
      "-": () => draw({ zoom: at.zoom / 1.5 }),
    };
    all(".pane", group).forEach((pane) => {
      const image = pane.querySelector("img");
      pictures.push(image);
      Object.assign(pane, { tabIndex: 0, role: "group", ariaLabel: `${image.alt} Plus and minus magnify, arrow keys move.` });
      pane.addEventListener("keydown", (event) => {
        if (!keys[event.key] || (at.zoom === 1 && event.key.startsWith("Arrow"))) return;
        event.preventDefault();
        keys[event.key]();
      });
      pane.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        pane.focus();
        pane.setPointerCapture(event.pointerId);
      });
      pane.addEventListener("pointermove", (event) => {
        if (!pane.hasPointerCapture(event.pointerId)) return;
        move(-event.movementX / pane.clientWidth, -event.movementY / pane.clientHeight);
      });
      pane.addEventListener("dblclick", (event) => {
        const box = image.getBoundingClientRect();
        const spot = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
        draw(at.zoom > 1 ? { zoom: 1 } : { zoom: 3, ...spot });
      });
      pane.parentElement.append(button("Enlarge", () => enlarge(image)));
    });
    range.addEventListener("input", () => draw({ zoom: Number(range.value) }));
    draw({});
    const controls = make("div", { className: "controls" }, make("label", {}, "Magnify all", range));
    controls.append("Drag a picture to move them all; a double click magnifies.");
    group.before(controls);
  };

  // Tables drawn as pictures: pointing at a cell, or the arrow keys, say which row and column meet there, and its value.
  const valueAt = ({ largest, codes }, one, other, count) => {
    const [row, column] = [Math.min(one, other), Math.max(one, other)];
    const level = atob(codes).charCodeAt((row * (2 * count - row + 1)) / 2 + column - row) - 128;
    if (!level) return `under ${Number((largest / 1000).toPrecision(1))}`;
    return `${Math.sign(level) * Number((largest * 1000 ** ((Math.abs(level) - 127) / 126)).toPrecision(2))}`;
  };

  const nameCells = (group) => {
    const names = group.dataset.names.split("\n");
    const unit = group.dataset.unit;
    const said = make("p", { className: "cell", ariaLive: "polite" });
    said.textContent = `Point at a cell, or use the arrow keys, to see which ${unit} meet there.`;
    const tables = all("figure", group).map((figure) => figure.dataset).filter((data) => data.codes);
    let at = { row: 0, column: 0 };
    const read = (row, column) => {
      const inside = (place) => Math.min(names.length - 1, Math.max(0, place));
      at = { row: inside(row), column: inside(column) };
      const values = tables.map((table) => `${valueAt(table, at.row, at.column, names.length)} in ${table.of}`);
      said.textContent = `${unit} ${names[at.row]} and ${names[at.column]}${values.length ? ": " : ""}${values.join(", ")}`;
      for (const side of ["row", "column"]) group.style.setProperty(`--${side}`, `${((at[side] + 0.5) / names.length) * 100}%`);
      group.classList.add("read");
    };
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    all(".zoom", group).forEach((opener) => {
      const image = opener.querySelector("img");
      opener.ariaLabel += " Arrow keys read its cells, with Shift ten at a time.";
      opener.append(make("span", { className: "spot" }));
      opener.addEventListener("keydown", (event) => {
        const step = steps[event.key];
        if (!step) return;
        event.preventDefault();
        const [down, right] = step.map((each) => each * (event.shiftKey ? 10 : 1));
        read(at.row + down, at.column + right);
      });
      opener.addEventListener("pointermove", (event) => {
        const box = image.getBoundingClientRect();
        const cell = (share) => Math.floor(share * names.length);
        read(cell((event.clientY - box.top) / box.height), cell((event.clientX - box.left) / box.width));
      });
    });
    group.after(said);
  };

  const makeCopyable = (block) => {
    const copy = button("Copy", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(block);
        copy.textContent = "Selected: press Ctrl+C";
      }
    });
    copy.classList.add("copied");
    block.after(copy);
  };

  // The section being read is marked in the list of sections.
  const markCurrent = () => {
    const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
    const observer = new IntersectionObserver(
      (entries) => {
        const entered = entries.find((entry) => entry.isIntersecting);
        if (!entered) return;
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entered.target.id)?.setAttribute("aria-current", "true");
      },
      { rootMargin: "-20% 0px -70% 0px" },
    );
    all(".chapters > section").forEach((section) => observer.observe(section));
  };

  // A table that is wider than its place says so.
  const wide = new ResizeObserver((entries) =>
    entries.forEach(({ target }) => target.classList.toggle("wide", target.scrollWidth > target.clientWidth)),
  );
  all(".scroll").forEach((box) => wide.observe(box));

  all("a.again").forEach(repeat);
  all(".compare").forEach(makeSlider);
  all(".linked").forEach(makeLinked);
  all(".zoomable").forEach(makeZoomable);
  all(".matrices").forEach(nameCells);
  pictures.sort((one, other) => (one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  all("pre").forEach(makeCopyable);
  buildDialog();
  markCurrent();
})();
