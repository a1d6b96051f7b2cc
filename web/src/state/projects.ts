/** State of the projects page. */
import { api } from "../data/api.ts";
import type { Projects } from "../data/types.ts";
import { dataArrived, follow } from "./live.ts";
import { Resource } from "./resource.ts";

export class ProjectsPage {
  readonly page = "projects";
  readonly projects: Resource<Projects>;
  private readonly unfollow: () => void;

  constructor() {
    this.unfollow = follow(null, (nudge) => {
      if (nudge.runs.length > 0) dataArrived(Date.now());
      this.projects.changed();
    });
    this.projects = new Resource(async (signal) => {
      const answer = await api.projects(signal);
      const newest = Math.max(0, ...answer.projects.map((p) => p.last_activity_us ?? 0));
      if (newest > 0) dataArrived(newest / 1000);
      return answer;
    }, 2000);
  }

  stop(): void {
    this.unfollow();
    this.projects.stop();
  }
}
