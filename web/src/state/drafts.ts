/** The last look at each project, kept in this browser: opening the project again goes on where it was left. */

export interface Store {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const PREFIX = "buoy.view.";
/** A draft that is longer is not kept: browsers give an origin a few megabytes for everything. */
const CHARACTERS_MAX = 20_000;

/** The browser's store, or one that forgets where storage is forbidden. */
export function browserStore(): Store {
  try {
    return localStorage;
  } catch {
    return { getItem: () => null, setItem: () => undefined, removeItem: () => undefined };
  }
}

/** Draft of a project (`entity:project`): the query of its page, null when there is none. */
export function readDraft(store: Store, project: string): string | null {
  try {
    return store.getItem(PREFIX + project);
  } catch {
    return null;
  }
}

/** Keeps a draft; an empty one is no draft. A full or forbidden store loses the draft and nothing else. */
export function writeDraft(store: Store, project: string, query: string): void {
  try {
    if (query === "" || query.length > CHARACTERS_MAX) store.removeItem(PREFIX + project);
    else store.setItem(PREFIX + project, query);
  } catch {
    // The address bar still has the view.
  }
}
