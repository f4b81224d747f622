import { dirname, resolve } from "node:path";
import { z } from "zod";
import { DEFAULT_LISTEN } from "../lib/api/daemon.ts";
import { SplError } from "../lib/base/errors.ts";
import type { LogFormat } from "../lib/base/log_line.ts";
import { readToml } from "../lib/base/toml.ts";
import { readBaseUrl } from "../lib/client/config.ts";
import { type AddressPolicy, parseNetworks } from "../lib/federation/addresses.ts";
import { faultText } from "./stages/fault.ts";
import { isHostName, isLoopbackName } from "./stages/host.ts";
import { readTls, type Tls } from "./tls.ts";

/** What belongs to this host and never travels: the home's `config.toml`. Flags of `spl serve` come before it. */
export interface Settings {
  /** Address to bind. */
  host: string;
  port: number;
  /** Where the instance is reached from elsewhere, or null for the bound address. */
  publicUrl: string | null;
  /** Names that it answers to beside those that `HostPolicy` lets pass, lowercase. */
  allowedHosts: string[];
  /** Origins of other sites whose pages may call. */
  allowedOrigins: string[];
  /** Null for plain http. */
  tls: Tls | null;
  /** Base URL of the directory to ask and to publish to. */
  directory: string | null;
  /** Networks beside the public ones that peers may be reached in. */
  allowNetworks: AddressPolicy["networks"];
  /** DIDs, with `*`, whose pair requests are approved unseen. */
  autoApprove: string[];
  logFormat: LogFormat;
  /** Seconds between two looks whether this instance has been succeeded. */
  watchS: number;
}

/** Flags of `spl serve`; what is undefined comes from the file, else from the defaults. */
export interface SettingFlags {
  host?: string | undefined;
  /** 0 lets the system choose. */
  port?: number | undefined;
  publicUrl?: string | undefined;
  /** Names separated by commas. */
  allowedHosts?: string | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** Everyone on this machine has all rights, without a token. */
  insecureLocalhost?: boolean | undefined;
}

/** How long two homes of one identity may go on without knowing of each other (spec, section 3). */
const WATCH_S = 60;

const File = z.strictObject({
  listen: z
    .strictObject({ host: z.string().min(1).optional(), port: z.int().min(0).max(65535).optional() })
    .optional(),
  public_url: z.string().optional(),
  allowed_hosts: z.array(z.string()).optional(),
  allowed_origins: z.array(z.string()).optional(),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  directory: z.string().optional(),
  log: z.strictObject({ format: z.enum(["text", "json"]).optional() }).optional(),
  federation: z
    .strictObject({
      allow_networks: z.array(z.string()).optional(),
      auto_approve: z.array(z.string()).optional(),
      watch_s: z.int().min(1).max(3600).optional(),
    })
    .optional(),
});

/**
 * The flags, else the file at `path`, else the defaults; everything that they name has been read and checked.
 * @throws SplError usage naming the flag or key that is wrong, file_unreadable, key_permissions
 */
export function resolveSettings(flags: SettingFlags, path: string): Settings {
  const file = readFile(path);
  const host = flags.host ?? file.listen?.host ?? DEFAULT_LISTEN.host;
  if (flags.insecureLocalhost && !isLoopbackName(host)) {
    throw new SplError(
      "usage",
      `--insecure-localhost does not go with --host ${host}: anyone could do anything`,
      {
        hint: "leave out --host, or leave out --insecure-localhost and use tokens",
      },
    );
  }
  return {
    host,
    port: flags.port ?? file.listen?.port ?? DEFAULT_LISTEN.port,
    publicUrl:
      flags.publicUrl !== undefined
        ? readBaseUrl(flags.publicUrl, "--public-url")
        : file.public_url !== undefined
          ? readBaseUrl(file.public_url, `public_url in ${path}`)
          : null,
    allowedHosts:
      flags.allowedHosts !== undefined
        ? flags.allowedHosts.split(",").map((name) => readHostName(name.trim(), "--allowed-hosts"))
        : (file.allowed_hosts ?? []).map((name) => readHostName(name, `${path}: allowed_hosts`)),
    allowedOrigins: (file.allowed_origins ?? []).map((origin) => readOrigin(origin, path)),
    tls: resolveTls(flags, file.tls, path),
    directory: file.directory === undefined ? null : readBaseUrl(file.directory, `directory in ${path}`),
    allowNetworks: parseNetworks(file.federation?.allow_networks ?? []),
    autoApprove: (file.federation?.auto_approve ?? []).map((pattern) => readDidPattern(pattern, path)),
    logFormat: file.log?.format ?? "text",
    watchS: file.federation?.watch_s ?? WATCH_S,
  };
}

/** What others can read and change on the way, in plain words; null where nothing leaves this machine in the clear. */
export function cleartextWarning({ host, tls }: Settings): string | null {
  if (tls !== null || isLoopbackName(host)) return null;
  return `warning: listening on ${host} without TLS: whoever is on the way can read tokens and records; add --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has them`;
}

/** Relative paths count from the working folder in flags, from the file's own folder in the file. */
function resolveTls(
  { tlsCert, tlsKey }: SettingFlags,
  file: { cert: string; key: string } | undefined,
  path: string,
): Tls | null {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new SplError("usage", "--tls-cert and --tls-key go together", { hint: "give both or neither" });
  }
  if (tlsCert !== undefined && tlsKey !== undefined) return readTls(resolve(tlsCert), resolve(tlsKey));
  if (file === undefined) return null;
  return readTls(resolve(dirname(path), file.cert), resolve(dirname(path), file.key));
}

function readFile(path: string): z.output<typeof File> {
  const settings = readToml(path);
  const result = File.safeParse(settings);
  if (result.success) return result.data;
  const fault = faultText(result.error.issues[0]!, settings, "it");
  throw new SplError("usage", `${path}: ${fault}`, { hint: "mend it with an editor" });
}

function readHostName(text: string, where: string): string {
  const name = text.toLowerCase();
  if (isHostName(name)) return name;
  throw new SplError("usage", `${where}: ${JSON.stringify(text)} is no host name`, {
    hint: 'write a name without scheme and port, as "box.lan"',
  });
}

/** A DID in which `*` stands for any run of characters. */
function readDidPattern(text: string, path: string): string {
  if (/^did:[a-z0-9]+:[A-Za-z0-9._:%*-]+$/.test(text)) return text;
  throw new SplError("usage", `${path}: federation.auto_approve: ${JSON.stringify(text)} is no DID pattern`, {
    hint: 'write a DID, with * for any run of characters, as "did:sync:instance:box-*"',
  });
}

/** Exactly as browsers send it: anything else would never match. */
function readOrigin(text: string, path: string): string {
  const url = URL.parse(text);
  if (url?.origin === text && /^https?:$/.test(url.protocol)) return text;
  throw new SplError("usage", `${path}: allowed_origins: ${JSON.stringify(text)} is no origin`, {
    hint: 'write scheme, name and any unusual port, as "https://console.example"',
  });
}
