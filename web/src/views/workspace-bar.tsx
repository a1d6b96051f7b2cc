/** The controls that are always in sight: search, x axis, scale, size, undo. Each acts as it is touched. */
import type { JSX } from "preact";
import * as format from "../format.ts";
import { listShown, showList } from "../state/preferences.ts";
import { BANDS, PANEL_SIZES } from "../state/view.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { Tool } from "../ui/tool.tsx";
import { ScaleControl, SmoothControl, Switch, XControl } from "./setting-controls.tsx";
import styles from "./workspace-bar.module.css";

const words = t.workspace;

function Search({ page }: { page: WorkspacePage }): JSX.Element {
  return (
    <label>
      <span class="vh">{words.search}</span>
      <input
        type="search"
        id="search-panels"
        class={styles.search}
        placeholder={words.searchHint}
        value={page.view.value.search}
        onInput={(event) => page.set({ search: event.currentTarget.value }, "search")}
      />
    </label>
  );
}

/** One line for the runs that have these columns in common. */
function Group({ page }: { page: WorkspacePage }): JSX.Element {
  const { group, groupBand } = page.view.value;
  const proposed = page.groupProposals.value;
  return (
    <>
      <label class={styles.control} title={words.groupHint}>
        {words.group}
        <input
          type="search"
          id="group-runs"
          class={styles.rule}
          list="group-columns"
          placeholder={words.groupExample}
          value={group.join(", ")}
          onFocus={() => void page.proposeGroups()}
          onChange={(event) => page.groupBy(event.currentTarget.value)}
        />
        <datalist id="group-columns">
          {proposed.map((column) => (
            <option key={column} value={column} />
          ))}
        </datalist>
      </label>
      {group.length > 0 && (
        <label class={styles.control}>
          {words.groupBand}
          <select
            value={groupBand}
            onChange={(event) => {
              const chosen = BANDS.find((band) => band === event.currentTarget.value);
              if (chosen !== undefined) page.set({ groupBand: chosen });
            }}
          >
            {BANDS.map((band) => (
              <option key={band} value={band}>
                {words.groupBands[band]}
              </option>
            ))}
          </select>
        </label>
      )}
    </>
  );
}

/** Which keys have no panel: a rule of the view, beside what it leaves out. */
function HiddenKeys({ page }: { page: WorkspacePage }): JSX.Element {
  const { hidden } = page.shown.value;
  return (
    <label class={styles.control} title={words.hiddenHint}>
      {words.hidden}
      <input
        type="search"
        class={styles.rule}
        value={page.view.value.hiddenKeys}
        onInput={(event) => page.set({ hiddenKeys: event.currentTarget.value }, "hidden")}
      />
      {hidden > 0 && <span class={styles.quiet}>{words.hiddenCount(format.count(hidden))}</span>}
    </label>
  );
}

function Size({ page }: { page: WorkspacePage }): JSX.Element {
  const { size } = page.view.value;
  return (
    <span class={styles.control}>
      <button
        type="button"
        aria-label={words.smaller}
        title={words.smaller}
        disabled={size === 0}
        onClick={() => page.set({ size: size - 1 }, "size")}
      >
        −
      </button>
      <button
        type="button"
        aria-label={words.larger}
        title={words.larger}
        disabled={size === PANEL_SIZES.length - 1}
        onClick={() => page.set({ size: size + 1 }, "size")}
      >
        +
      </button>
    </span>
  );
}

export function WorkspaceBar({ page }: { page: WorkspacePage }): JSX.Element {
  const { view } = page;
  const all = page.keys.value?.length ?? 0;
  const x = view.value.x === "auto" ? "step" : view.value.x;
  return (
    <div class={styles.bar}>
      {!listShown.value && <Tool icon="list" label={words.showList} onClick={() => showList(true)} />}
      <Search page={page} />
      <XControl
        id="bar"
        value={view.value.x}
        keys={page.keys.value ?? []}
        onChange={(x) => page.set({ x })}
      />
      <ScaleControl value={view.value.scale} onChange={(scale) => page.set({ scale })} />
      <Switch label={words.logX} on={view.value.logX} onChange={(logX) => page.set({ logX })} />
      <Switch
        label={words.robust}
        title={words.robustHint}
        on={view.value.robust}
        onChange={(robust) => page.set({ robust })}
      />
      <SmoothControl
        value={view.value}
        x={x}
        span={page.spanOf(x)}
        onChange={(change, kind) => page.set(change, kind)}
      />
      <Group page={page} />
      <HiddenKeys page={page} />
      <Size page={page} />
      <span class={styles.control}>
        <Tool icon="undo" label={words.undo} disabled={!page.canUndo.value} onClick={() => page.undo()} />
        <Tool icon="redo" label={words.redo} disabled={!page.canRedo.value} onClick={() => page.redo()} />
      </span>
      {page.isZoomed.value && (
        <button type="button" onClick={() => page.resetZoom()}>
          {t.keyboard.resetZoom}
        </button>
      )}
      <span class={styles.count}>
        {words.panels(format.count(page.shown.value.panels), format.count(all))}
      </span>
    </div>
  );
}
