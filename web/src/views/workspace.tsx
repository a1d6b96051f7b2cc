/** A project: its runs on the left, their charts on the right. */
import type { JSX } from "preact";
import * as format from "../format.ts";
import { announced } from "../state/announcements.ts";
import { LIST_WIDTH, listShown, listWidth, narrow, showList } from "../state/preferences.ts";
import { moved } from "../state/sections.ts";
import { sectionOwner } from "../state/settings.ts";
import { PANEL_SIZES, toggled } from "../state/view.ts";
import { SECTION_NAMES, type WorkspacePage } from "../state/workspace.ts";
import { t } from "../strings.ts";
import { CopyBlock } from "../ui/copy.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Mount } from "../ui/mount.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { PanelGrid } from "../ui/panel-grid.tsx";
import { Splitter } from "../ui/splitter.tsx";
import { Tool } from "../ui/tool.tsx";
import { FullPanel } from "./full-panel.tsx";
import { LinePanel } from "./line-panel.tsx";
import { PanelSettings } from "./panel-settings.tsx";
import { ProjectTabs } from "./project-tabs.tsx";
import { snippet } from "./projects.tsx";
import { RunList } from "./run-list.tsx";
import { Shell } from "./shell.tsx";
import { ViewShelf } from "./view-shelf.tsx";
import styles from "./workspace.module.css";
import { WorkspaceBar } from "./workspace-bar.tsx";

function SectionTools({ page, name }: { page: WorkspacePage; name: string }): JSX.Element | null {
  if (name === SECTION_NAMES.pinned) return null;
  const order = page.shown.value.sections
    .map((section) => section.name)
    .filter((n) => n !== SECTION_NAMES.pinned);
  const move = (by: -1 | 1): void => page.set({ sections: moved(order, name, by) });
  const first = page.shown.value.sections.find((section) => section.name === name)?.keys[0];
  return (
    <>
      {first !== undefined && (
        <PanelSettings page={page} owner={sectionOwner(name)} name={name} panel={first} />
      )}
      <Tool
        icon="up"
        label={t.workspace.sectionUp(name)}
        disabled={order[0] === name}
        onClick={() => move(-1)}
      />
      <Tool
        icon="down"
        label={t.workspace.sectionDown(name)}
        disabled={order.at(-1) === name}
        onClick={() => move(1)}
      />
    </>
  );
}

/** Ctrl and the wheel over the panels change their size, one step for what a wheel turns in one go. */
function startWheel(host: HTMLElement, page: WorkspacePage): () => void {
  let sum = 0;
  const onWheel = (event: WheelEvent): void => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    sum += event.deltaY;
    if (Math.abs(sum) < 40) return;
    const by = sum > 0 ? -1 : 1;
    sum = 0;
    const size = Math.min(PANEL_SIZES.length - 1, Math.max(0, page.view.peek().size + by));
    if (size !== page.view.peek().size) page.set({ size }, "size");
  };
  const area = host.parentElement ?? host;
  area.addEventListener("wheel", onWheel, { passive: false });
  return () => area.removeEventListener("wheel", onWheel);
}

function NoPanels({ page }: { page: WorkspacePage }): JSX.Element {
  const { search } = page.view.value;
  const { hidden } = page.shown.value;
  if (page.keys.value?.length === 0)
    return <Notice title={t.workspace.noKeys}>{t.workspace.noKeysHint}</Notice>;
  return (
    <Notice title={search === "" ? t.workspace.allHidden(format.count(hidden)) : t.workspace.noMatch(search)}>
      {search !== "" && (
        <button type="button" onClick={() => page.set({ search: "" })}>
          {t.workspace.clear}
        </button>
      )}
      {hidden > 0 && (
        <button type="button" onClick={() => page.set({ hiddenKeys: "" })}>
          {t.workspace.showHidden}
        </button>
      )}
    </Notice>
  );
}

function Panels({ page }: { page: WorkspacePage }): JSX.Element | null {
  const { sections, panels } = page.shown.value;
  const { closed, size } = page.view.value;
  if (page.keys.value === null) return null;
  if (panels === 0) return <NoPanels page={page} />;
  return (
    <>
      {page.rows.value.length > 0 && page.drawn.value.length === 0 && (
        <p class={styles.none}>
          {t.workspace.noneShown}{" "}
          <button type="button" onClick={() => page.set({ eyes: { rule: "allBut", runs: [] } })}>
            {t.workspace.showAll}
          </button>
        </p>
      )}
      <Mount start={(host) => startWheel(host, page)} />
      <PanelGrid
        sections={sections}
        closed={new Set(closed)}
        onToggle={(name) => page.set({ closed: toggled(page.view.peek().closed, name) })}
        size={PANEL_SIZES[size] ?? PANEL_SIZES[1]}
        tools={(name) => <SectionTools page={page} name={name} />}
        panel={(key) => <LinePanel key={key} page={page} name={key} />}
      />
    </>
  );
}

function Side({ page }: { page: WorkspacePage }): JSX.Element | null {
  if (!listShown.value) return null;
  if (narrow.value) {
    const close = (): void => showList(false);
    return (
      <Dialog label={t.workspace.runs} kind="sheet" onClose={close}>
        <div class={styles.sheetHead}>
          <h2>{t.workspace.runs}</h2>
          <Tool icon="close" label={t.workspace.hideList} onClick={close} />
        </div>
        <RunList page={page} />
      </Dialog>
    );
  }
  return (
    <>
      <aside class={styles.side} style={{ width: `${listWidth.value}px` }} aria-label={t.workspace.runs}>
        <RunList page={page} />
      </aside>
      <Splitter
        label={t.workspace.resize}
        value={listWidth.value}
        {...LIST_WIDTH}
        onChange={(width) => {
          listWidth.value = width;
        }}
      />
    </>
  );
}

function Empty(): JSX.Element {
  return (
    <Notice title={t.workspace.empty}>
      <p>{t.projects.emptyHint}</p>
      <CopyBlock text={snippet(new URL(".", document.baseURI).href.replace(/\/$/, ""))} />
      <p class="quiet">{t.water.listening}</p>
    </Notice>
  );
}

export function WorkspaceView({ page }: { page: WorkspacePage }): JSX.Element {
  const { list } = page;
  const error = list.error.value;
  const missing = list.rows.value === null && error !== null;
  // The filter of an address may be wrong: its line has to be there to correct it.
  const correctable = missing && error.status === 400;
  const empty = list.rows.value !== null && list.total.value === 0 && page.view.value.filter === "";
  const { full } = page.view.value;
  return (
    <Shell crumbs={[{ text: page.project, to: null }]} wide>
      <div class={styles.workspace}>
        {(!missing || correctable) && !empty && <Side page={page} />}
        <div class={styles.content}>
          <h1 class="vh">{page.project}</h1>
          <ProjectTabs entity={page.entity} project={page.project} open="workspace">
            {!missing && !empty && <ViewShelf page={page} />}
          </ProjectTabs>
          {missing && <Failure error={error} missing={t.workspace.noProject} retry={() => list.retry()} />}
          {empty && <Empty />}
          {!missing && !empty && (
            <>
              <WorkspaceBar page={page} />
              <Panels page={page} />
            </>
          )}
        </div>
      </div>
      {full !== null && <FullPanel page={page} name={full} />}
      <p class="vh" role="status">
        {announced.value}
      </p>
    </Shell>
  );
}
