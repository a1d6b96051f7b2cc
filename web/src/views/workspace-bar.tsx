/** The controls that are always in sight: search, x axis, scale, size, undo. Each acts as it is touched. */
import type { JSX } from "preact";
import * as format from "../format.ts";
import { listShown, showList } from "../state/preferences.ts";
import { PANEL_SIZES, X_KINDS } from "../state/view.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { Tool } from "../ui/tool.tsx";
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

function XAxis({ page }: { page: WorkspacePage }): JSX.Element {
  return (
    <label class={styles.control}>
      {t.run.x}
      <select
        value={page.view.value.x}
        onChange={(event) => {
          const x = X_KINDS.find((kind) => kind === event.currentTarget.value);
          if (x !== undefined) page.set({ x });
        }}
      >
        {X_KINDS.map((kind) => (
          <option key={kind} value={kind}>
            {t.run.xNames[kind]}
          </option>
        ))}
      </select>
    </label>
  );
}

function Switch(props: {
  label: string;
  title?: string;
  on: boolean;
  onChange: (on: boolean) => void;
}): JSX.Element {
  return (
    <label class={styles.control} title={props.title}>
      <input
        type="checkbox"
        checked={props.on}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      {props.label}
    </label>
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
  return (
    <div class={styles.bar}>
      {!listShown.value && <Tool icon="list" label={words.showList} onClick={() => showList(true)} />}
      <Search page={page} />
      <XAxis page={page} />
      <Switch label={words.logY} on={view.value.logY} onChange={(logY) => page.set({ logY })} />
      <Switch
        label={words.robust}
        title={words.robustHint}
        on={view.value.robust}
        onChange={(robust) => page.set({ robust })}
      />
      <HiddenKeys page={page} />
      <Size page={page} />
      <span class={styles.control}>
        <Tool icon="undo" label={words.undo} disabled={!page.canUndo.value} onClick={() => page.undo()} />
        <Tool icon="redo" label={words.redo} disabled={!page.canRedo.value} onClick={() => page.redo()} />
      </span>
      {view.value.zoom.has(view.value.x) && (
        <button type="button" onClick={() => page.zoom(null)}>
          {t.keyboard.resetZoom}
        </button>
      )}
      <span class={styles.count}>
        {words.panels(format.count(page.shown.value.panels), format.count(all))}
      </span>
    </div>
  );
}
