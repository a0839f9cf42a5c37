/**
 * What is asked of the server, and what its answers mean.
 *
 * Hugging Face's package for JavaScript (`@huggingface/hub`) was weighed and left: its download to the cache begins anew instead of going on, compares no
 * hash, takes no lock, falls back to no cached commit and always fetches whole repositories (5 MB of package, of which two functions would be used). The
 * protocol is two requests, so they stand here, on undici, for proxies.
 */
import type { Dispatcher } from 'undici';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';
import { type HubName, hubText, isCommit, isRepositoryFile } from '../../huggingface/name.js';
import { reasonOf } from '../files.js';
import type { HubSettings } from './settings.js';

/** A file of a commit, as the server describes it. */
export interface RemoteFile {
  readonly file: string;
  /** SHA-256 (64 digits), or git's SHA-1 of a blob (40). */
  readonly hash: string;
  readonly size?: number;
  /** Where its bytes are. */
  readonly address: string;
}

type Answer = Dispatcher.ResponseData;
type Headers = Readonly<Record<string, string>>;

/** What may be asked again: the network failed, or the server did. */
class Failure extends Error {
  constructor(
    message: string,
    /** The wait that the server asks for, in milliseconds. */
    readonly wait?: number,
  ) {
    super(message);
  }
}

/** How often a request is made in all. */
const TRIES = 4;
const REDIRECTS = 8;
/** A server that says nothing for this long has gone, in milliseconds. */
const SILENCE = 30_000;
/** No list of a repository's files, and no index, is larger. */
const MOST_TEXT = 64 * 2 ** 20;

export class HubClient {
  private constructor(
    private readonly settings: HubSettings,
    private readonly direct: Dispatcher,
    private readonly proxies: Readonly<Record<string, Dispatcher>>,
    private readonly request: typeof import('undici').request,
  ) {}

  /** undici is loaded with the first client: no command waits for it that asks no server. */
  static async open(settings: HubSettings): Promise<HubClient> {
    const { Agent, ProxyAgent, request } = await import('undici');
    const limits = { connect: { timeout: 10_000 }, headersTimeout: SILENCE, bodyTimeout: SILENCE };
    const { http, https } = settings.proxies;
    const through = (uri: string | undefined): Dispatcher | undefined =>
      uri === undefined ? undefined : new ProxyAgent({ ...limits, uri });
    try {
      const proxies = { 'http:': through(http), 'https:': through(https) };
      const given = Object.entries(proxies).flatMap(([scheme, proxy]) => (proxy ? [[scheme, proxy] as const] : []));
      return new HubClient(settings, new Agent(limits), Object.fromEntries(given), request);
    } catch {
      const reason = 'HTTPS_PROXY or HTTP_PROXY is not the address of a proxy';
      throw new EspalierError([diagnostic('ESP1301', { what: settings.endpoint, reason })]);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.direct, ...Object.values(this.proxies)].map((d) => d.destroy()));
  }

  /**
   * The commit that a revision is, and the files that it has.
   * @throws EspalierError ESP1297 where there is none, ESP1300 where the server gives none to whoever asks, ESP1301 where it does not answer
   */
  async list(name: HubName): Promise<{ readonly commit: string; readonly files: ReadonlySet<string> }> {
    const { endpoint } = this.settings;
    const revision = encodeURIComponent(name.revision);
    const address = `${endpoint}/api/models/${name.repository}/revision/${revision}`;
    const text = await this.retried(name, address, async () => {
      const { answer } = await this.follow('GET', address, {});
      await this.requireGood(answer, name);
      return whole(answer);
    });
    let found: { readonly sha?: unknown; readonly siblings?: unknown };
    try {
      found = JSON.parse(text) ?? {};
    } catch {
      found = {};
    }
    const { sha, siblings } = found;
    if (typeof sha !== 'string' || !isCommit(sha) || !Array.isArray(siblings))
      throw this.failed(address, 'it does not answer as Hugging Face does');
    const files = siblings.flatMap((s: { readonly rfilename?: unknown } | null) =>
      typeof s?.rfilename === 'string' && isRepositoryFile(s.rfilename) ? [s.rfilename] : [],
    );
    return { commit: sha, files: new Set(files) };
  }

  /** Hash, size and place of a file. @throws EspalierError as `list` */
  async describe(name: HubName, commit: string, file: string): Promise<RemoteFile> {
    const parts = file.split('/').map(encodeURIComponent).join('/');
    const address = `${this.settings.endpoint}/${name.repository}/resolve/${commit}/${parts}`;
    return this.retried(name, address, async () => {
      const {
        answer,
        address: last,
        next,
      } = await this.follow('HEAD', address, {}, (a) => 'x-linked-etag' in a.headers);
      await this.requireGood(answer, name);
      const header = (field: string): string | undefined => [answer.headers[field]].flat()[0];
      // A weak one is that of an answer that was compressed on its way; what is meant is the same.
      const hash = (header('x-linked-etag') ?? header('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash)) throw this.failed(address, 'it gives no hash of the file');
      const size = Number(header('x-linked-size') ?? (next === undefined ? header('content-length') : undefined));
      return { file, hash, ...(Number.isSafeInteger(size) ? { size } : {}), address: next ?? last };
    });
  }

  /**
   * A file's bytes from a place on. One request: whoever reads them goes on where they end.
   * @throws Error where the network fails; EspalierError ESP1297, ESP1300
   */
  async read(name: HubName, { address }: RemoteFile, from: number): Promise<Answer> {
    const { answer } = await this.follow('GET', address, from > 0 ? { range: `bytes=${from}-` } : {});
    if (answer.statusCode !== 416) await this.requireGood(answer, name);
    return answer;
  }

  /** Does it again where the network or the server failed, after longer and longer waits. */
  async retried<T>(name: HubName, address: string, attempt: (tries: number) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt(tries);
      } catch (error) {
        if (error instanceof EspalierError) throw error;
        if (tries === TRIES) throw this.failed(`${hubText(name)} (${new URL(address).host})`, explained(error));
        await this.wait(tries, error);
      }
    }
  }

  /** Before the next attempt. */
  async wait(tries: number, error: unknown): Promise<void> {
    const asked = error instanceof Failure ? error.wait : undefined;
    const pause = Math.min(asked ?? this.settings.pause * 2 ** (tries - 1), 20_000);
    await new Promise((done) => setTimeout(done, pause));
  }

  /** Past the proxy for hosts that `NO_PROXY` lists: by name, by the end of a name, by name and port; `*` is all. */
  private way(address: string): Dispatcher {
    const { protocol, hostname, host } = new URL(address);
    const listed = (this.settings.proxies.none ?? '')
      .toLowerCase()
      .split(/[\s,]+/)
      .map((entry) => entry.replace(/^\*?\./, ''));
    const none = listed.some(
      (entry) =>
        entry === '*' || (entry !== '' && (hostname === entry || host === entry || hostname.endsWith(`.${entry}`))),
    );
    return (none ? undefined : this.proxies[protocol]) ?? this.direct;
  }

  failed(what: string, reason: string): EspalierError {
    return new EspalierError([diagnostic('ESP1301', { what, reason })]);
  }

  /**
   * Asks, and follows redirects, to the first answer that is none, or that is `enough`. The token goes to the endpoint alone.
   * @returns the answer, the address that gave it, and where that leads on
   */
  private async follow(
    method: 'GET' | 'HEAD',
    start: string,
    headers: Headers,
    enough: (answer: Answer) => boolean = () => false,
  ): Promise<{ readonly answer: Answer; readonly address: string; readonly next?: string }> {
    const { endpoint, token } = this.settings;
    let address = start;
    for (let hops = 0; hops <= REDIRECTS; hops++) {
      const own = new URL(address).origin === new URL(endpoint).origin;
      const answer = await this.request(address, {
        method,
        dispatcher: this.way(address),
        headers: {
          'user-agent': 'espalier',
          // Sizes and places are those of the file itself.
          'accept-encoding': 'identity',
          ...(own && token !== undefined ? { authorization: `Bearer ${token}` } : {}),
          ...headers,
        },
      });
      const location = [answer.headers.location].flat()[0];
      if (answer.statusCode < 300 || answer.statusCode > 399 || location === undefined) return { answer, address };
      await answer.body.dump();
      if (!URL.canParse(location, address)) throw new Failure('it redirects to what is no address');
      const next = new URL(location, address);
      if (!/^https?:$/.test(next.protocol)) throw new Failure(`it redirects to ${next.protocol}`);
      if (enough(answer)) return { answer, address, next: next.href };
      address = next.href;
    }
    throw this.failed(start, 'its redirects lead on and on');
  }

  /** @throws EspalierError ESP1297 (there is none), ESP1300 (not for whoever asks); Failure for what may pass */
  private async requireGood(answer: Answer, name: HubName): Promise<void> {
    const { statusCode: status, headers } = answer;
    if (status < 400) return;
    await answer.body.dump();
    const text = hubText(name);
    const code = [headers['x-error-code']].flat()[0];
    const { endpoint, token } = this.settings;
    const page = `${endpoint}/${name.repository}`;
    if (code === 'GatedRepo' || (status === 403 && code === undefined))
      throw new EspalierError([diagnostic('ESP1300', { name: text, page, kind: 'gated', token: token !== undefined })]);
    if (status === 401 || status === 403)
      throw new EspalierError([
        diagnostic('ESP1300', { name: text, page, kind: 'denied', token: token !== undefined }),
      ]);
    if (status === 404 || status === 410) {
      const why =
        code === 'RevisionNotFound'
          ? `${name.repository} has no branch, tag or commit "${name.revision}"`
          : code === 'EntryNotFound'
            ? 'the repository has no such file'
            : `${endpoint} has no such repository, or none that whoever asks may see`;
      throw new EspalierError([diagnostic('ESP1297', { name: text, why })]);
    }
    const after = Number([headers['retry-after']].flat()[0]);
    const wait = Number.isFinite(after) ? after * 1000 : undefined;
    if (status === 429) throw new Failure('it asks for fewer requests (429)', wait);
    if (status >= 500 || status === 408) throw new Failure(`the server answered ${status}`, wait);
    throw this.failed(text, `the server answered ${status}`);
  }
}

async function whole(answer: Answer): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of answer.body as AsyncIterable<Buffer>) {
    size += piece.byteLength;
    if (size > MOST_TEXT) throw new Failure('its answer has no end');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

const NETWORK: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name is not known here: there is no network, or the name is wrong',
  EAI_AGAIN: 'its name cannot be looked up: there is no network',
  ECONNREFUSED: 'it refuses the connection',
  ECONNRESET: 'the connection was cut',
  ENETUNREACH: 'there is no network',
  EHOSTUNREACH: 'there is no way to it',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer',
  UND_ERR_BODY_TIMEOUT: 'it stopped sending',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_ABORTED: 'the proxy refuses the connection',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate is signed by somebody who is not known here (NODE_EXTRA_CA_CERTS names a file of more)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is signed by somebody who is not known here (NODE_EXTRA_CA_CERTS names a file of more)',
};

/** What failed in plain words; never with a header in it. */
export function explained(error: unknown): string {
  const seen = error as { readonly code?: unknown; readonly cause?: unknown };
  const code = String(seen.code ?? (seen.cause as { readonly code?: unknown } | undefined)?.code);
  return NETWORK[code] ?? reasonOf(error);
}
