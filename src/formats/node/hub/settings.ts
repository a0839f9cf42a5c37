/** Where Hugging Face's cache is, which server is asked and as whom: the environment variables that its own libraries go by. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface HubOptions {
  /** Take what the cache has, ask no server. Default: what `HF_HUB_OFFLINE` says. */
  readonly offline?: boolean | undefined;
  /** Hears of downloads: what is fetched, and which part of it is there, in [0, 1]. */
  readonly progress?: ((what: string, fraction?: number) => void) | undefined;
  /** In place of the process's own. */
  readonly environment?: Environment | undefined;
  /** How long the first wait is before a failed request is made again, in milliseconds; each later one is twice as long. */
  readonly pause?: number | undefined;
}

export interface HubSettings {
  /** Folder of the cache, with one folder for each repository. */
  readonly cache: string;
  /** The server's address, without a slash at its end. */
  readonly endpoint: string;
  /** Who asks. Goes to the endpoint alone, and into no message. */
  readonly token?: string;
  readonly offline: boolean;
  /** Addresses of proxies, and the hosts that are asked without. */
  readonly proxies: { readonly http?: string; readonly https?: string; readonly none?: string };
  readonly progress: (what: string, fraction?: number) => void;
  readonly pause: number;
}

const isOn = (text: string | undefined): boolean => /^(1|on|true|yes)$/i.test(text ?? '');

/** @throws EspalierError ESP1301 for an `HF_ENDPOINT` or a token that cannot be one */
export function hubSettings(options: HubOptions = {}): HubSettings {
  const env = options.environment ?? process.env;
  const said = (...names: string[]): string | undefined =>
    names.map((n) => env[n]).find((v) => v !== undefined && v !== '');
  const path = (...names: string[]): string | undefined => said(...names)?.replace(/^~(?=$|[\\/])/, homedir());
  const wrong = (reason: string): EspalierError =>
    new EspalierError([diagnostic('ESP1301', { what: 'Hugging Face', reason })]);

  const home = path('HF_HOME') ?? join(path('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');
  const endpoint = (said('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, '');
  if (!/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : ''))
    throw wrong(`HF_ENDPOINT = ${endpoint} is no address that begins with https:// or http://`);
  const token = said('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN') ?? fileText(path('HF_TOKEN_PATH') ?? join(home, 'token'));
  const cleaned = isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? '' : (token ?? '').trim();
  // What cannot stand in a header is not sent, nor shown.
  if (!/^[\x21-\x7e]*$/.test(cleaned))
    throw wrong('the token (HF_TOKEN, or the file of it) holds characters that no token has');
  const http = said('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY');
  const https = said('https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY');
  const none = said('no_proxy', 'NO_PROXY');
  return {
    cache: path('HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'),
    endpoint,
    ...(cleaned === '' ? {} : { token: cleaned }),
    offline: options.offline || isOn(env.HF_HUB_OFFLINE) || isOn(env.TRANSFORMERS_OFFLINE),
    proxies: { ...(http ? { http } : {}), ...(https ? { https } : {}), ...(none ? { none } : {}) },
    progress: options.progress ?? (() => {}),
    pause: options.pause ?? 500,
  };
}

function fileText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
