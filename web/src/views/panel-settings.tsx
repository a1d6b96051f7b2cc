/** What a panel or a section has of its own, in a form at the panel: applies as it is touched, Esc takes it back. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Range } from "../data/types.ts";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { Popover } from "../ui/popover.tsx";
import styles from "./panel-settings.module.css";
import { ScaleControl, SmoothControl, Switch, XControl } from "./setting-controls.tsx";

const words = t.workspace;

interface SettingsProps {
  page: WorkspacePage;
  /** See settings.ts. */
  owner: string;
  /** What the owner is called. */
  name: string;
  /** A panel that shows what is on now: the owner's own, or one of a section. */
  panel: string;
  /** In full screen, where the panel is in the page for the second time. */
  full?: boolean;
}

export function PanelSettings({ page, owner, name, panel, full = false }: SettingsProps): JSX.Element {
  const open = page.editing.value?.owner === owner && page.editing.value.full === full;
  const close = (): void => {
    if (page.editing.peek()?.owner === owner) page.editing.value = null;
  };
  return (
    <Popover
      icon="settings"
      label={words.settings(name)}
      open={open}
      onOpen={() => page.edit(owner)}
      onClose={close}
      onRevert={() => {
        page.putOwn(owner, page.editing.peek()?.before);
        close();
      }}
    >
      {open && <Form page={page} owner={owner} name={name} panel={panel} />}
    </Popover>
  );
}

function Form({ page, owner, panel }: SettingsProps): JSX.Element {
  const own = page.view.value.owns.get(owner);
  const now = page.settings(panel);
  const set = (change: Parameters<typeof page.setOwn>[1], kind: string | null = null): void =>
    page.setOwn(owner, change, kind === null ? null : `${kind} ${owner}`);
  const x = page.xOf(panel);
  return (
    <>
      <XControl id={owner} value={now.x} keys={page.keys.value ?? []} onChange={(to) => set({ x: to })} />
      <ScaleControl value={now.scale} onChange={(scale) => set({ scale })} />
      {owner.startsWith("p:") && (
        <YRange range={now.yRange ?? null} onChange={(range) => set({ yRange: range ?? undefined })} />
      )}
      <Switch label={words.logX} on={now.logX} onChange={(logX) => set({ logX })} />
      <Switch
        label={words.robust}
        title={words.robustHint}
        on={now.robust}
        onChange={(robust) => set({ robust })}
      />
      <SmoothControl value={now} x={x} span={page.spanOf(x)} onChange={set} />
      <button type="button" disabled={own === undefined} onClick={() => page.putOwn(owner, undefined)}>
        {words.resetOwn}
      </button>
    </>
  );
}

/** Both ends of the y axis; it follows the lines while one is missing. */
function YRange({
  range,
  onChange,
}: {
  range: Range | null;
  onChange: (range: Range | null) => void;
}): JSX.Element {
  const ends = useSignal<readonly [string, string]>(
    range === null ? ["", ""] : [`${range[0]}`, `${range[1]}`],
  );
  const put = (i: 0 | 1, text: string): void => {
    const next: [string, string] = [...ends.peek()];
    next[i] = text;
    ends.value = next;
    const [low, high] = next.map((end) => (end.trim() === "" ? Number.NaN : Number(end)));
    const whole = low !== undefined && high !== undefined && Number.isFinite(low) && Number.isFinite(high);
    if (whole && low < high) onChange([low, high]);
    else if (next.every((end) => end.trim() === "")) onChange(null);
  };
  const field = (i: 0 | 1, label: string): JSX.Element => (
    <label class={styles.end}>
      {label}
      <input
        inputMode="decimal"
        value={ends.value[i]}
        onInput={(event) => put(i, event.currentTarget.value)}
      />
    </label>
  );
  return (
    <span class={styles.range}>
      {field(0, words.yRange)}
      {field(1, words.yTo)}
    </span>
  );
}
