import manifest from "../../package.json" with { type: "json" };

/** The release's version, as `spl version` and `/health` say it. */
export const VERSION: string = manifest.version;
