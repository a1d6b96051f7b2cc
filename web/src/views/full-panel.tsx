/** One panel over the whole window; the arrows go to its neighbours. */
import type { JSX } from "preact";
import type { WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Tool } from "../ui/tool.tsx";
import styles from "./full-panel.module.css";
import { LinePanel } from "./line-panel.tsx";

export function FullPanel({ page, name }: { page: WorkspacePage; name: string }): JSX.Element {
  const order = page.order.value;
  const at = order.indexOf(name);
  const go = (by: -1 | 1): void => {
    const next = order[at + by];
    if (next !== undefined) page.openFull(next);
  };
  const close = (): void => page.openFull(null);
  return (
    <Dialog
      label={`${t.workspace.fullScreen}: ${name}`}
      kind="full"
      onClose={close}
      onKey={(event) => {
        if (event.key === "ArrowLeft") go(-1);
        else if (event.key === "ArrowRight") go(1);
      }}
    >
      <div class={styles.full}>
        <div class={styles.bar}>
          <Tool icon="left" label={t.workspace.before} disabled={at <= 0} onClick={() => go(-1)} />
          <Tool
            icon="right"
            label={t.workspace.after}
            disabled={at + 1 >= order.length}
            onClick={() => go(1)}
          />
          <Tool icon="close" label={t.workspace.leaveFullScreen} onClick={close} />
        </div>
        <div class={styles.panel}>
          <LinePanel key={name} page={page} name={name} full />
        </div>
      </div>
    </Dialog>
  );
}
