// Draws a panel as Kibana does, without Kibana: {spec, answers, width, height} on standard input, {svg, data} on standard
// output. `answers` are what Elasticsearch answered, in the order in which the questions stand in the specification.
// The first argument is the folder whose node_modules has vega and vega-lite.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "here.js"));
const vega = require("vega");
const { compile } = require("vega-lite");

const { spec, answers, width, height } = JSON.parse(readFileSync(0, "utf8"));
const rest = [...answers];

function fill(part) {
  if (part === null || typeof part !== "object") return;
  if (part.data?.url?.index !== undefined) {
    delete part.data.url;
    part.data.values = rest.shift();
  }
  Object.values(part).forEach(fill);
}

fill(spec);
delete spec.config.kibana;
// Kibana fits what is one view into its panel, and leaves the rest as large as it is.
if (spec.facet === undefined) Object.assign(spec, { width, height, autosize: { type: "fit", contains: "padding" } });
const logger = vega.logger(vega.Warn);
const warnings = [];
logger.warn = (...told) => warnings.push(told.join(" "));
const view = new vega.View(vega.parse(compile(spec, { logger }).spec), { renderer: "none", logger });
await view.runAsync();
const data = {};
for (const name of Object.keys(view.getState({ data: () => true }).data)) {
  try {
    data[name] = JSON.parse(JSON.stringify(view.data(name)));
  } catch {
    // of a part of the view, such as a facet, or marks, which have one another
  }
}
process.stdout.write(JSON.stringify({ svg: await view.toSVG(), data, warnings }));
