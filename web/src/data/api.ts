/**
 * Calls of the server's public API. Every address is relative to the page's <base>, so the dashboard works under
 * any path; the browser's cookie is the key. A failed call throws ApiError with the server's problem document.
 */
import { streamFrames } from "./frame-stream.ts";
import type { Frame } from "./frames.ts";
import type {
  BatchAnswer,
  BatchDeed,
  Json,
  Keys,
  Nudge,
  PanelQuery,
  Projects,
  Range,
  Run,
  RunColumns,
  RunColumnsKnown,
} from "./types.ts";

export interface Place {
  readonly column: number;
  readonly length: number;
}

/** What the server said instead of an answer; `status` 0 means that it could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Where in what was sent the fault is, where that is a line of text; characters from 1. */
  readonly place: Place | null;

  constructor(status: number, code: string, message: string, place: Place | null = null) {
    super(message);
    this.place = place;
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/** The absolute address of a path below the base path. */
export function address(path: string): string {
  return new URL(path, document.baseURI).href;
}

async function problem(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text) as Partial<Place> & { code?: string; title?: string; detail?: string };
    const { column, length } = body;
    return new ApiError(
      response.status,
      body.code ?? "error",
      body.detail ?? body.title ?? response.statusText,
      column === undefined || length === undefined ? null : { column, length },
    );
  } catch {
    return new ApiError(response.status, "error", response.statusText);
  }
}

async function call(path: string, init: RequestInit, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), signal === undefined ? init : { ...init, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", String(error));
  }
  if (!response.ok) throw await problem(response);
  return response;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await call(path, { headers: { Accept: "application/json" } }, signal);
  return (await response.json()) as T;
}

function post(path: string, body: unknown, accept: string, signal?: AbortSignal): Promise<Response> {
  const headers = { "Content-Type": "application/json", Accept: accept };
  return call(path, { method: "POST", headers, body: JSON.stringify(body) }, signal);
}

const of = (project: string): string => `api/v1/p/${encodeURIComponent(project)}`;

export interface RunsQuery {
  filter?: Json;
  columns: string[];
  /** Null: the newest first, or groups by their keys. */
  sort: readonly { readonly key: string; readonly desc: boolean }[] | null;
  group?: readonly string[];
  offset: number;
  limit: number;
  /** The revision of an answer whose order is wanted again. */
  at_rev?: number | null;
}

/** What people change of a run; what is left out stays. */
export interface RunEdit {
  readonly name?: string;
  readonly notes?: string;
  readonly tags?: readonly string[];
  readonly group?: string;
  readonly archived?: boolean;
}

export type RunsFile = Pick<RunsQuery, "filter" | "columns" | "sort">;

/** What may stand in place of `length` characters from `column` (from 1) on. */
export interface Proposals extends Place {
  kind: "key" | "value";
  items: { text: string; runs: number | null }[];
}

/** A kept view without its content. */
export interface ViewAbout {
  id: string;
  name: string;
  changed_us: number;
  edit_tag: string;
}

export interface KeptView extends ViewAbout {
  content: { readonly [name: string]: Json };
}

const viewPath = (project: string, id: string): string => `${of(project)}/views/${encodeURIComponent(id)}`;

export const api = {
  projects: (signal?: AbortSignal) => get<Projects>("api/v1/projects", signal),

  async runs(project: string, query: RunsQuery, signal?: AbortSignal): Promise<RunColumns> {
    const body = { filter: null, ...query };
    const response = await post(`${of(project)}/runs:query`, body, "application/json", signal);
    return (await response.json()) as RunColumns;
  },

  /** All runs that match, as CSV. */
  async runsFile(project: string, query: RunsFile, signal?: AbortSignal): Promise<Blob> {
    return (await post(`${of(project)}/runs:csv`, query, "text/csv", signal)).blob();
  },

  runColumns: (project: string, signal?: AbortSignal) =>
    get<RunColumnsKnown>(`${of(project)}/runs:columns`, signal),

  /** Does the same to many runs; some may be refused. */
  async batch(
    project: string,
    deed: { do: BatchDeed; runs?: readonly string[]; tags?: readonly string[]; group?: string; undo?: Json },
  ): Promise<BatchAnswer> {
    return (await (await post(`${of(project)}/runs:batch`, deed, "application/json")).json()) as BatchAnswer;
  },

  views: (project: string, signal?: AbortSignal) =>
    get<{ views: ViewAbout[] }>(`${of(project)}/views`, signal),

  view: (project: string, id: string, signal?: AbortSignal) => get<KeptView>(viewPath(project, id), signal),

  /** `match` says over which version: `If-Match` or `If-None-Match`. */
  async keepView(
    project: string,
    id: string,
    view: { name: string; content: Json },
    match: Record<string, string>,
  ): Promise<ViewAbout> {
    const headers = { "Content-Type": "application/json", Accept: "application/json", ...match };
    const init = { method: "PUT", headers, body: JSON.stringify(view) };
    return (await (await call(viewPath(project, id), init)).json()) as ViewAbout;
  },

  async dropView(project: string, id: string): Promise<void> {
    await call(viewPath(project, id), { method: "DELETE" });
  },

  async complete(project: string, text: string, place: number): Promise<Proposals> {
    const response = await post(`${of(project)}/filters:complete`, { text, place }, "application/json");
    return (await response.json()) as Proposals;
  },

  run: (project: string, run: string, signal?: AbortSignal) =>
    get<Run>(`${of(project)}/runs/${encodeURIComponent(run)}`, signal),

  /** Changes what people say of a run, if that is still as `editTag` stands for. */
  async patchRun(project: string, run: string, edit: RunEdit, editTag: string): Promise<Run> {
    const headers = { "Content-Type": "application/json", "If-Match": `"${editTag}"` };
    const init = { method: "PATCH", headers, body: JSON.stringify(edit) };
    return (await (await call(`${of(project)}/runs/${encodeURIComponent(run)}`, init)).json()) as Run;
  },

  /** Asks the processes of the run's present attempt to stop. */
  async stop(project: string, run: string): Promise<void> {
    await post(
      `${of(project)}/runs/${encodeURIComponent(run)}/stop`,
      { via: "dashboard" },
      "application/json",
    );
  },

  /** Hides a run everywhere; it can be restored until its data is removed. */
  async deleteRun(project: string, run: string): Promise<void> {
    await call(`${of(project)}/runs/${encodeURIComponent(run)}`, { method: "DELETE" });
  },

  async restoreRun(project: string, run: string): Promise<void> {
    await post(`${of(project)}/runs/${encodeURIComponent(run)}/restore`, {}, "application/json");
  },

  keys(project: string, query: Record<string, string>, signal?: AbortSignal): Promise<Keys> {
    return get<Keys>(`${of(project)}/keys?${new URLSearchParams(query)}`, signal);
  },

  /** Asks for all panels in one request; the frames come in the same order, each when the server has it. */
  async *series(
    project: string,
    panels: PanelQuery[],
    signal?: AbortSignal,
    budget?: { series: number; top: number },
  ): AsyncGenerator<Frame, void> {
    const accept = "application/vnd.buoy.frames; v=1";
    const body = budget === undefined ? { panels } : { panels, budget };
    const response = await post(`${of(project)}/series:query`, body, accept, signal);
    if (response.body !== null) yield* streamFrames(response.body);
  },

  /** All points of some series as they were logged, as a CSV file; `range` is in steps, both ends inside. */
  async points(
    project: string,
    asked: { keys: readonly string[]; runs: readonly string[]; range: Range | null },
  ): Promise<Blob> {
    const body = { ...asked, format: "csv" };
    return (await post(`${of(project)}/series:points`, body, "text/csv")).blob();
  },

  /** Waits up to 25 s for something newer than `since`. */
  rev: (project: string, since: number, signal?: AbortSignal) =>
    get<Partial<Nudge> & { rev: number }>(`${of(project)}/rev?since=${since}&wait=25`, signal),
};
