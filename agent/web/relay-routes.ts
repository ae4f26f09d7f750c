/**
 * The relays for machines and the command line:
 *
 *     GET  /api/relays                {site, manual, lines: [{line, side, wish, contacts: [...], because: [...]}], welds: [...]}
 *     POST /api/relays/open           {"line": "L1"}
 *     POST /api/relays/manual         {"on": true}
 *     POST /api/relays/clear-weld     {"contact": "L1.line"}
 *
 * A POST is taken as JSON from this machine, or from whoever is known where the page asks, and answers with what GET answers
 * then. Nothing here closes a contact. A reason is its code, the values compared, and a sentence.
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import type { Fault } from '../../protocol/result.ts'
import type { RelayControl } from '../relays/run.ts'
import { sentenceOf } from '../relays/sentences.ts'
import type { SaidReason } from './answers.ts'
import { said } from './said-reason.ts'

export interface RelaysSaid {
  readonly site: string
  readonly manual: boolean
  readonly lines: readonly {
    readonly line: string
    readonly side: 'seller' | 'buyer'
    readonly wish: 'energise' | 'de-energise'
    readonly contacts: readonly {
      readonly contact: string
      readonly commanded: 'open' | 'closed'
      readonly observed: 'open' | 'closed' | 'unknown'
      /** It stays closed when the agent dies. */
      readonly unsupervised: boolean
      /** May be closed now; of one that is commanded closed, may stay so. */
      readonly may: boolean
      readonly because: readonly SaidReason[]
      readonly trouble?: SaidReason
    }[]
    /** What opened the line last, or keeps a start from going on. */
    readonly because: readonly SaidReason[]
  }[]
  readonly welds: readonly { readonly contact: string; readonly at: number; readonly text: string }[]
}

function viewRelays(relays: RelayControl, site: string, lines: readonly string[]): RelaysSaid {
  const ends = lines.flatMap(line => {
    const end = relays.view(line)
    return end === undefined ? [] : [{ line, end }]
  })
  const welds = new Map(ends.flatMap(({ end }) => end.welds.map(weld => [weld.contact, weld])))
  return {
    site,
    manual: relays.isManual(),
    lines: ends.map(({ line, end }) => ({
      line,
      side: end.side,
      wish: end.wish,
      contacts: end.contacts.map(({ contact, commanded, seen, unsupervised, permit, trouble }) => ({
        contact,
        commanded,
        observed: seen,
        unsupervised,
        may: permit.may,
        because: permit.may ? [] : permit.because.map(said),
        ...(trouble === undefined ? {} : { trouble: said(trouble) }),
      })),
      because: end.because.map(said),
    })),
    welds: [...welds.values()].map(({ contact, at, sign }) => ({ contact, at, text: sentenceOf(sign) })),
  }
}

export function relayRoutes(
  relays: RelayControl,
  site: string,
  lines: readonly string[],
): Readonly<Record<string, Handler>> {
  const view = (): HttpReply => ({ kind: 'json', status: 200, value: viewRelays(relays, site, lines) })
  const refuse = (status: number, fault: Fault): HttpReply => ({ kind: 'json', status, value: said(fault) })

  /** Takes one field of one type out of the body, and nothing beside it. */
  const order =
    <T>(
      key: string,
      is: (value: unknown) => value is T,
      carry: (value: T) => Fault | undefined | Promise<Fault | undefined>,
    ): Handler =>
    async ({ body, local }) => {
      if (local !== true) {
        return refuse(403, {
          code: 'relays.not-local',
          hint: 'relays are commanded as JSON, from this machine or by whom the page knows',
        })
      }
      const asked = parse(body)
      const value = asked !== undefined && Object.keys(asked).join() === key ? asked[key] : undefined
      if (!is(value)) return refuse(400, { code: 'relays.misshapen', wanted: key })
      const fault = await carry(value)
      return fault === undefined ? view() : refuse(409, fault)
    }

  const failed = <T>(
    result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault },
  ) => (result.ok ? undefined : result.fault)
  return {
    'GET /api/relays': view,
    'POST /api/relays/open': order('line', isText, line => failed(relays.openByHand(line))),
    'POST /api/relays/manual': order('on', isYesNo, async on => failed(await relays.setManual(on))),
    'POST /api/relays/clear-weld': order('contact', isText, async contact => failed(await relays.clearWeld(contact))),
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isYesNo = (value: unknown): value is boolean => typeof value === 'boolean'

function parse(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(body) ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    // A stranger's text.
    return undefined
  }
}
