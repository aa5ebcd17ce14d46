"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const bytes = Uint8Array.from(atob(byId("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const { items, requests } = data;
  const count = items.id.length;
  // a lease that lasts to the end holds the token while the body arrives
  const released = data.lease === "exclusive-to-end" ? requests.end : requests.headers;
  byId("charts").hidden = false;

  // -- words

  const sizeText = (size) => {
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (size < 1000) return `${unit === "B" || size >= 100 ? size.toFixed(0) : size.toFixed(1)} ${unit}`;
      size /= 1000;
    }
    return `${size.toFixed(1)} TB`;
  };
  const timeText = (ms) => {
    const seconds = ms / 1000;
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  };
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // -- canvases, sharp on every screen

  const prepare = (canvas, height) => {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    return [context, width, height];
  };
  const left = 64; // for labels
  const view = { from: 0, to: Math.max(data.end, 1) };
  const xOf = (ms, width) => left + ((ms - view.from) / (view.to - view.from)) * (width - left - 8);

  const drawAxis = (context, width, height) => {
    const span = view.to - view.from;
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 18e5, 36e5, 144e5, 864e5];
    const step = steps.find((one) => span / one <= 8) || 864e5;
    context.strokeStyle = color("line");
    context.fillStyle = color("dim");
    for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      const x = Math.round(xOf(at, width)) + 0.5;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height - 16);
      context.stroke();
      context.fillText(timeText(at), Math.min(x + 3, width - 50), height - 4);
    }
  };

  // -- throughput, active items and marks

  const active = () => {
    const changes = [];
    for (let n = 0; n < count; n += 1) changes.push([items.start[n], 1], [items.end[n], -1]);
    changes.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    let level = 0;
    // a worker may begin an item before its last one is recorded
    return changes.map(([at, change]) => [at, Math.min((level += change), data.lanes)]);
  };
  const levels = active();
  const markColors = { login: "mark", refresh: "mark", retry: "bad", throttled: "bad", outage: "bad", notice: "dim" };

  const drawThroughput = () => {
    const [context, width, height] = prepare(byId("throughput"), 140);
    const bottom = height - 18;
    drawAxis(context, width, height);
    const rates = data.received.map((size) => (size / data.step) * 1000);
    const top = Math.max(...rates, 1);
    context.fillStyle = color("body");
    rates.forEach((rate, n) => {
      const x = xOf(n * data.step, width);
      const end = xOf((n + 1) * data.step, width);
      if (end < left || x > width) return;
      const tall = (rate / top) * (bottom - 22);
      context.fillRect(Math.max(x, left), bottom - tall, Math.max(end - Math.max(x, left), 1), tall);
    });
    const most = levels.reduce((high, [, level]) => Math.max(high, level), 1);
    context.strokeStyle = color("fg");
    context.beginPath();
    let y = bottom;
    context.moveTo(left, y);
    for (const [at, level] of levels) {
      const x = Math.min(Math.max(xOf(at, width), left), width);
      context.lineTo(x, y);
      y = bottom - (level / most) * (bottom - 22);
      context.lineTo(x, y);
    }
    context.stroke();
    context.fillStyle = color("dim");
    context.fillText(`${sizeText(top)}/s`, 4, 20);
    context.fillText(`${most} active`, 4, 36);
    for (const [at, kind] of data.marks) {
      const x = xOf(at, width);
      if (x < left) continue;
      context.fillStyle = color(markColors[kind] || "dim");
      context.fillRect(x - 1, 0, 2, 10);
      if (kind === "login") context.fillText("login", x + 4, 10);
    }
  };

  // -- the lanes

  const laneHeight = Math.max(Math.min(26, Math.floor(420 / Math.max(data.lanes, 1))), 6);
  const drawTimeline = () => {
    const [context, width, height] = prepare(byId("timeline"), data.lanes * laneHeight + 26);
    drawAxis(context, width, height);
    const bar = (lane, from, to, name, inset) => {
      const x = Math.max(xOf(from, width), left);
      const end = Math.min(xOf(to, width), width);
      if (end < left || x > width) return;
      context.fillStyle = color(name);
      context.fillRect(x, lane * laneHeight + 3 + inset, Math.max(end - x, 1), laneHeight - 4 - 2 * inset);
    };
    for (let n = 0; n < count; n += 1) {
      bar(items.lane[n], items.start[n], items.end[n], items.state[n] === "failed" ? "bad" : "idle", 0);
    }
    const inset = laneHeight > 14 ? 3 : 1;
    requests.item.forEach((item, n) => {
      bar(items.lane[item], released[n], requests.end[n], "body", inset);
    });
    requests.item.forEach((item, n) => {
      bar(items.lane[item], requests.sent[n], released[n], "held", inset);
    });
    context.fillStyle = color("dim");
    if (laneHeight >= 12) {
      for (let lane = 0; lane < data.lanes; lane += 1) {
        context.fillText(`worker ${lane + 1}`, 4, lane * laneHeight + laneHeight / 2 + 5);
      }
    } else {
      context.fillText(`${data.lanes} workers`, 2, 14);
    }
  };

  const explain = () => {
    const body = requests.end.reduce((sum, end, n) => sum + (end - released[n]), 0);
    const held = released.reduce((sum, end, n) => sum + (end - requests.sent[n]), 0);
    if (!requests.sent.length) return "No request brought a file.";
    const limit = data.left_out ? ` The first ${count} items are shown.` : "";
    const sums = `In all, the token was held for ${timeText(held)}, and bodies took ${timeText(body)}.${limit}`;
    if (data.lease === "shared") return `The token stays valid, so requests may overlap. ${sums}`;
    const after = data.lease === "exclusive-to-end" ? "the body is in" : "the headers of the response are in";
    return `One request at a time has the token, until ${after} and the new token is stored. `
      + `Bodies need no token, so they arrive side by side. ${sums}`;
  };

  const draw = () => {
    drawThroughput();
    drawTimeline();
  };
  const clamp = () => {
    const span = Math.min(Math.max(view.to - view.from, 5), Math.max(data.end, 5));
    view.from = Math.min(Math.max(view.from, 0), Math.max(data.end, 5) - span);
    view.to = view.from + span;
  };
  const zoom = (factor, center) => {
    const span = (view.to - view.from) * factor;
    const share = (center - view.from) / (view.to - view.from);
    view.from = center - share * span;
    view.to = view.from + span;
    clamp();
    draw();
  };
  const move = (share) => {
    const by = (view.to - view.from) * share;
    view.from += by;
    view.to += by;
    clamp();
    draw();
  };

  const canvas = byId("timeline");
  const timeAt = (event) => {
    const x = event.offsetX - left;
    return view.from + (x / (canvas.clientWidth - left - 8)) * (view.to - view.from);
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const actions = {
      "+": () => zoom(0.5, (view.from + view.to) / 2),
      "=": () => zoom(0.5, (view.from + view.to) / 2),
      "-": () => zoom(2, (view.from + view.to) / 2),
      0: () => { view.from = 0; view.to = Math.max(data.end, 1); draw(); },
      ArrowLeft: () => move(-0.2),
      ArrowRight: () => move(0.2),
    };
    // with these, they are the browser's: zoom, back
    if (actions[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = timeAt(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointermove", (event) => {
    const at = timeAt(event);
    if (drag !== null) {
      view.from += drag - at;
      view.to += drag - at;
      clamp();
      draw();
      return;
    }
    const lane = Math.floor(event.offsetY / laneHeight);
    const tip = [];
    for (let n = 0; n < count; n += 1) {
      if (items.lane[n] === lane && items.start[n] <= at && at <= items.end[n]) {
        tip.push(`${items.title[n]}: ${sizeText(items.bytes[n])} in ${timeText(items.end[n] - items.start[n])}`);
        if (items.message[n]) tip.push(items.message[n]);
        break;
      }
    }
    byId("tip").textContent = tip.join("; ");
  });

  // -- the table

  const columns = [
    ["title", "Item", (n) => items.title[n], false],
    ["state", "State", (n) => items.state[n], false],
    ["bytes", "Size", (n) => items.bytes[n], true],
    ["seconds", "Time", (n) => items.end[n] - items.start[n], true],
    ["start", "Started", (n) => items.start[n], true],
  ];
  let sorted = { by: 3, down: true };
  let shown = 100;
  const matches = () => {
    const word = byId("search").value.toLowerCase();
    const found = [];
    for (let n = 0; n < count; n += 1) {
      const text = `${items.id[n]} ${items.title[n]} ${items.state[n]} ${items.message[n]}`;
      if (!word || text.toLowerCase().includes(word)) found.push(n);
    }
    const value = columns[sorted.by][2];
    const sign = sorted.down ? -1 : 1;
    return found.sort((a, b) => (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : a - b));
  };
  const fill = () => {
    const found = matches();
    byId("found").textContent = `${found.length} of ${count}`;
    const rows = found.slice(0, shown).map((n) => {
      const row = document.createElement("tr");
      if (items.state[n] === "failed") row.className = "failed";
      const texts = [
        items.message[n] ? `${items.title[n]}: ${items.message[n]}` : items.title[n],
        items.state[n],
        sizeText(items.bytes[n]),
        timeText(items.end[n] - items.start[n]),
        timeText(items.start[n]),
      ];
      texts.forEach((text, place) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        if (columns[place][3]) cell.className = "number";
        row.append(cell);
      });
      return row;
    });
    document.querySelector("#items tbody").replaceChildren(...rows);
    byId("more").hidden = found.length <= shown;
  };
  columns.forEach(([, name, , number], place) => {
    const head = document.createElement("th");
    const button = document.createElement("button");
    button.textContent = name;
    button.addEventListener("click", () => {
      sorted = { by: place, down: sorted.by === place ? !sorted.down : number };
      document.querySelectorAll("#items th").forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      fill();
    });
    if (number) head.className = "number";
    head.append(button);
    document.querySelector("#items thead tr").append(head);
  });
  byId("search").addEventListener("input", () => { shown = 100; fill(); });
  byId("more").addEventListener("click", () => { shown += 500; fill(); });

  byId("explain").textContent = explain();
  fill();
  draw();
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.documentElement.dataset.ready = "yes";
})();
