/** What a run gave: the summary's values, how far they went, and their curves in the height of a row. */
import { effect } from "@preact/signals";
import type { JSX } from "preact";
import type { Json, Run } from "../data/types.ts";
import { show } from "../data/values.ts";
import * as format from "../format.ts";
import { type Extremes, extremes, spark } from "../plot/spark.ts";
import { goalFor } from "../state/deltas.ts";
import type { Panel } from "../state/panels.ts";
import type { RunPage } from "../state/run.ts";
import { t } from "../strings.ts";
import { Mount } from "../ui/mount.tsx";
import { Parts, partsOf } from "../ui/parts.tsx";
import { RowWindow } from "../ui/row-window.tsx";
import styles from "./summary.module.css";

const text = t.overview;
const COLLATOR = new Intl.Collator(undefined, { numeric: true });

/** In CSS pixels. */
const SPARK = { width: 96, height: 20 };
const SVG = "http://www.w3.org/2000/svg";

/** Draws a panel's curve until the result is called; the panel is asked for while it is here. */
function startSpark(host: HTMLElement, page: RunPage, panel: Panel): () => void {
  const svg = document.createElementNS(SVG, "svg");
  const [extent, course] = [document.createElementNS(SVG, "path"), document.createElementNS(SVG, "path")];
  svg.setAttribute("viewBox", `0 0 ${SPARK.width} ${SPARK.height}`);
  svg.setAttribute("aria-hidden", "true");
  extent.classList.add(styles.extent ?? "");
  course.classList.add(styles.course ?? "");
  svg.append(extent, course);
  host.append(svg);
  const stop = effect(() => {
    panel.revision.value;
    const paths = panel.plan === null ? null : spark(panel.plan, SPARK.width, SPARK.height);
    extent.setAttribute("d", paths?.extent ?? "");
    course.setAttribute("d", paths?.course ?? "");
  });
  page.sparks.show(panel.key, SPARK.width);
  return () => {
    stop();
    page.sparks.hide(panel.key);
  };
}

interface ExtremeProps {
  found: Extremes | null;
  end: "low" | "high";
  /** Whether this end is the one that the run is after. */
  best: boolean;
}

function Extreme({ found, end, best }: ExtremeProps): JSX.Element {
  if (found === null) return <td class={`num ${styles.end}`}>–</td>;
  const { x, y } = found[end];
  const where = format.position(x, "step", found.width);
  return (
    <td class={`num ${styles.end}`} title={`${format.exact(y)} · ${where}`}>
      {best && (
        <span class={styles.best}>
          <span aria-hidden="true">★ </span>
          <span class="vh">{text.best} </span>
        </span>
      )}
      {format.number(y)}
    </td>
  );
}

/** Lowest, highest and curve of a key that has points. */
function Course({ page, name }: { page: RunPage; name: string }): JSX.Element {
  const panel = page.sparks.panel(name);
  panel.revision.value;
  const { plan } = panel;
  const found = plan === null ? null : extremes(plan);
  const goal = goalFor(name, page.goalOf(name));
  const odd = plan?.nonFinite ?? 0;
  return (
    <>
      <Extreme found={found} end="low" best={goal < 0} />
      <Extreme found={found} end="high" best={goal > 0} />
      <td
        class={styles.spark}
        title={odd > 0 ? t.chart.nonFinite(format.count(odd), plan?.nonFiniteExact ?? false) : undefined}
      >
        <Mount key={name} class={styles.curve} start={(host) => startSpark(host, page, panel)} />
        {odd > 0 && <span class={styles.odd}>◆</span>}
      </td>
    </>
  );
}

function Row({
  page,
  name,
  value,
  index,
}: {
  page: RunPage;
  name: string;
  value: Json;
  index: number;
}): JSX.Element {
  const numeric = partsOf(value).every(([, part]) => show(part).numeric);
  return (
    <tr aria-rowindex={index + 2}>
      <th scope="row" class={styles.key} title={name}>
        {name}
      </th>
      <td class={numeric ? "num" : styles.right}>
        <Parts value={value} />
      </td>
      {page.keys.value?.includes(name) ? (
        <Course key={name} page={page} name={name} />
      ) : (
        <>
          <td class={`num ${styles.end}`}>–</td>
          <td class={`num ${styles.end}`}>–</td>
          <td class={styles.spark}>–</td>
        </>
      )}
    </tr>
  );
}

export function Summary({ run, page }: { run: Run; page: RunPage }): JSX.Element {
  const rows = Object.entries(run.summary).sort(([a], [b]) => COLLATOR.compare(a, b));
  if (rows.length === 0) return <p class="quiet">{text.noSummary}</p>;
  return (
    <RowWindow
      rows={rows.length}
      label={text.summary}
      table={styles.table}
      whole={40}
      head={
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col" class={styles.key}>
              {text.key}
            </th>
            <th scope="col" class="num">
              {text.last}
            </th>
            <th scope="col" class={`num ${styles.end}`}>
              {text.lowest}
            </th>
            <th scope="col" class={`num ${styles.end}`}>
              {text.highest}
            </th>
            <th scope="col" class={styles.spark}>
              {text.curve}
            </th>
          </tr>
        </thead>
      }
    >
      {(first, end) =>
        rows
          .slice(first, end)
          .map(([name, value], i) => (
            <Row key={name} page={page} name={name} value={value} index={first + i} />
          ))
      }
    </RowWindow>
  );
}
