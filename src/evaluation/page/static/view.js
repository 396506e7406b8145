// Draws the answer in `props.value`: photo and labels beside each other, with legend, hover and differences.
// Every text from outside goes through textContent. `element`, `props` and `watch` come from Gradio.
const state = { opacity: 0.7, differs: false, chosen: null, drawing: 0 };
const make = (tag, kind, text) => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
};

const pixels = async (address, width, height) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = make("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const bytes = context.getImageData(0, 0, width, height).data;
  return Int32Array.from({ length: width * height }, (_, k) => bytes[4 * k] + 256 * bytes[4 * k + 1]);
};

const nameOf = (classes, label) => (label === classes.void ? "void" : classes.names[label]);
const keyOf = (classes, label) => nameOf(classes, label) + "/" + (classes.colours[label] || []).join();

function paint(panel, truth) {
  const { canvas, labels, classes } = panel;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const words = new Uint32Array(image.data.buffer);
  const solid = (255 << 24) >>> 0;
  const ofColour = ([red, green, blue]) => (solid | (blue << 16) | (green << 8) | red) >>> 0;
  const table = classes.colours.map((colour, label) => {
    if (state.chosen !== null) return keyOf(classes, label) === state.chosen ? ofColour(colour) : 0;
    return label === classes.background ? 0 : ofColour(colour);
  });
  const void_ = ofColour([235, 235, 235]), wrong = ofColour([230, 0, 70]);
  const compares = state.differs && panel.scored && truth;
  for (let k = 0; k < labels.length; k += 1) {
    const label = labels[k];
    if (compares) {
      words[k] = truth[k] === classes.void ? void_ : truth[k] === label ? 0 : wrong;
    } else {
      words[k] = label === classes.void ? (state.chosen === null ? void_ : 0) : table[label];
    }
  }
  context.putImageData(image, 0, 0);
  canvas.style.opacity = state.opacity;
}

function legend(shown, repaint) {
  const box = make("div", "legend");
  const found = new Map();
  for (const { labels, classes } of shown) {
    const counts = new Map();
    for (const label of labels) counts.set(label, (counts.get(label) || 0) + 1);
    for (const label of counts.keys()) {
      if (label !== classes.void) found.set(keyOf(classes, label), { classes, label });
    }
  }
  for (const [key, { classes, label }] of [...found].sort((a, b) => a[1].label - b[1].label)) {
    const entry = make("button", "entry");
    entry.type = "button";
    const swatch = make("span", "swatch");
    if (label !== classes.background) swatch.style.background = `rgb(${classes.colours[label].join()})`;
    entry.append(swatch, nameOf(classes, label));
    const choose = (value) => {
      state.chosen = value;
      for (const one of box.children) one.classList.toggle("faint", value !== null && one !== entry);
      repaint();
    };
    entry.onpointerenter = (event) => event.pointerType === "mouse" && choose(key);
    entry.onpointerleave = (event) => event.pointerType === "mouse" && choose(null);
    entry.onfocus = () => entry.matches(":focus-visible") && choose(key);
    entry.onblur = () => choose(null);
    entry.onclick = () => choose(state.chosen === key ? null : key);
    box.append(entry);
  }
  return box;
}

function figure(title, value) {
  const box = make("figure"), stage = make("div", "stage"), photo = make("img");
  photo.src = value.photo;
  photo.alt = title;
  stage.style.aspectRatio = `${value.width} / ${value.height}`;
  stage.append(photo);
  const head = make("figcaption"), said = make("div", "said");
  head.append(make("b", "", title));
  box.append(head, stage, said);
  return { box, stage, photo, said, head };
}

function follow(panels, value) {
  const at = (event, stage) => {
    const frame = stage.getBoundingClientRect();
    const within = (part, size) => Math.min(size - 1, Math.max(0, Math.floor(part * size)));
    return [
      within((event.clientX - frame.left) / frame.width, value.width),
      within((event.clientY - frame.top) / frame.height, value.height),
    ];
  };
  for (const panel of panels) {
    panel.stage.onpointermove = panel.stage.onpointerdown = (event) => {
      const [x, y] = at(event, panel.stage);
      for (const one of panels) {
        one.mark.style.left = `${(100 * (x + 0.5)) / value.width}%`;
        one.mark.style.top = `${(100 * (y + 0.5)) / value.height}%`;
        one.mark.hidden = false;
        one.said.textContent = one.labels ? nameOf(one.classes, one.labels[y * value.width + x]) : `${x}, ${y}`;
      }
    };
    panel.stage.onpointerleave = () => {
      for (const one of panels) {
        one.mark.hidden = true;
        one.said.textContent = one.rest;
      }
    };
  }
}

function bar(value, repaint) {
  const box = make("div", "bar");
  const shade = make("label", "", "colours "), range = make("input");
  Object.assign(range, { type: "range", min: 0, max: 1, step: 0.05, value: state.opacity });
  range.oninput = () => {
    state.opacity = Number(range.value);
    repaint();
  };
  shade.append(range);
  box.append(shade);
  if (value.truth) {
    const label = make("label"), tick = make("input");
    Object.assign(tick, { type: "checkbox", checked: state.differs, className: "differs" });
    tick.onchange = () => {
      state.differs = tick.checked;
      repaint();
    };
    label.append(tick, " difference to the truth (wrong pixels in red)");
    box.append(label);
  }
  const { network, crf } = value.seconds;
  const passed = network > 0.001 ? `network ${network.toFixed(2)} s, ` : "network kept, ";
  box.append(make("span", "time", `${value.width} x ${value.height} px; ${passed}CRF and fusion ${crf.toFixed(2)} s`));
  return box;
}

async function draw() {
  const value = props.value, root = element.querySelector(".answer"), mine = (state.drawing += 1);
  if (!root || !value) return;
  const tell = (word) => {
    root.dataset.state = word;
    root.dataset.answers = Number(root.dataset.answers || 0) + 1;
  };
  if (value.error) {
    root.replaceChildren(make("p", "refused", value.error));
    tell("refused");
    return;
  }
  const truth = value.truth && (await pixels(value.truth, value.width, value.height));
  const panels = [], rows = [];
  const add = (row, title, labels, classes, more) => {
    const made = { ...figure(title, value), labels, classes, rest: "", ...more };
    made.mark = make("span", "mark");
    made.mark.hidden = true;
    made.stage.append(made.mark);
    if (labels) {
      made.canvas = make("canvas");
      [made.canvas.width, made.canvas.height] = [value.width, value.height];
      made.photo.after(made.canvas);
      made.photo.classList.add("grey");
    }
    made.said.textContent = made.rest;
    panels.push(made);
    row.append(made.box);
    return made;
  };
  for (const [k, one] of value.rows.entries()) {
    const row = make("div", "row");
    if (k === 0) add(row, value.name);
    else if (truth) add(row, "truth", truth, value.truth_classes);
    if (k === 0 && truth && value.rows.length === 1) add(row, "truth", truth, value.truth_classes);
    if (k > 0 && !truth) add(row, value.name);
    for (const panel of one.panels) {
      const labels = await pixels(panel.map, value.width, value.height);
      const other = truth && !one.scored ? "no score: other classes than the truth" : "";
      const rest = panel.miou === null ? other : `own mIoU ${(100 * panel.miou).toFixed(1)} %`;
      const made = add(row, panel.title === "crf" ? "CRF" : panel.title, labels, one.classes, { rest, scored: one.scored });
      const link = make("a", "file", "PNG");
      link.href = panel.file;
      link.download = `${value.name.replace(/\.\w+$/, "")}-${panel.title}.png`;
      link.title = "a PNG of the labels, as src.predict writes it";
      made.head.append(link);
    }
    rows.push(make("h4", "", one.name), row);
  }
  if (mine !== state.drawing) return; // a later answer is here already
  state.chosen = null;
  const shown = panels.filter((one) => one.labels);
  const repaint = () => shown.forEach((one) => paint(one, truth));
  repaint();
  follow(panels, value);
  const notes = value.notes.map((text) => make("p", "note", text));
  root.replaceChildren(bar(value, repaint), ...notes, ...rows, legend(shown, repaint));
  tell("drawn");
}

watch("value", draw);
draw();
