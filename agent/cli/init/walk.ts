/** The questions of `tieline init` in their order. Pure. */
import * as literals from '../../config/literals.ts'
import type { Role } from '../../config/site-config.ts'
import { askCharger } from './charger-questions.ts'
import type { Draft } from './draft.ts'
import { askGrid } from './grid-questions.ts'
import { askLedgerOf } from './ledger-questions.ts'
import { askDirectLines } from './line-questions.ts'
import { askMeters } from './meter-questions.ts'
import { because, choose, line, parsed, type Walk, yes } from './question.ts'
import { askCommunity, askDistributor, askRegulator } from './role-questions.ts'
import { type Drafting, settle } from './settle.ts'

/** What the machine is, as far as questions depend on it. */
export interface Around {
  /** Boards that come with the program, and the relay hats that fit each. */
  readonly boards: Readonly<Record<string, readonly string[]>>
  /** Where journal and state go, and beside what the keys. */
  readonly data: string
}

const ROLE_TEXTS: Readonly<Partial<Record<Role, string>>> = {
  household: 'a home or office',
  charger: 'a charger for cars',
  storage: 'a battery that others use',
  distributor: 'answers for the lines of a distribution network; needs no meter',
  community: 'shares energy among members',
  generator: 'a plant',
  regulator: 'watches a ledger; needs no meter',
}
const WITHOUT_METERS: readonly Role[] = ['distributor', 'regulator']
/** Nothing to anybody without its ledger. */
const FOR_OTHERS: readonly Role[] = ['distributor', 'community', 'regulator']
const NO_BOARD = 'other'
const [NETWORK, ALONE] = ['0.0.0.0', '127.0.0.1']
const USUAL_PORT = '8480'

export function* siteWalk(around: Around): Walk<Draft> {
  const role = (yield because(
    'It decides what else is asked.',
    choose(
      'role',
      'What is this site?',
      Object.entries(ROLE_TEXTS).map(([value, text]) => ({ value, label: `${value}: ${text}` })),
      'household',
    ),
  )) as Role
  const site = yield because(
    'Others know it by this name, and it cannot be changed once something was traded. For example elm-street-4',
    parsed(
      'site',
      'What is it called, among its neighbours?',
      text => (/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(text) ? text : undefined),
      'a name: a letter (a to z), then at most 31 letters, digits, - or _, as in elm-street-4',
    ),
  )
  const boards = Object.keys(around.boards)
  const board = yield choose(
    'board',
    'Which board does the agent run on? That matters for relays on its pins alone',
    [...boards, { value: NO_BOARD, label: 'another machine, or no relays on pins' }],
    NO_BOARD,
  )
  const draft: Drafting = {
    ...{ role, site, data: around.data, keys: `${around.data}/keys`, passphrase: 'asked' },
    board: board === NO_BOARD ? undefined : board,
    ...{ lines: [], meters: [], broker: undefined, publish: false, ledger: undefined },
    ...{ distribution: undefined, network: undefined, grid: undefined, community: undefined, regulator: undefined },
    ...{ relays: {}, peers: {}, directLines: [], sell: undefined, buy: undefined },
    ...{
      fuse: undefined,
      fuseMeter: undefined,
      charger: undefined,
      listen: `${ALONE}:${USUAL_PORT}`,
      passwordFile: undefined,
    },
  }
  yield* askMeters(draft, !WITHOUT_METERS.includes(role))
  if (!WITHOUT_METERS.includes(role)) yield* askCharger(draft)
  draft.publish = yield* yes(
    'home_assistant',
    'Shall Home Assistant (or anything on MQTT) see this site?',
    'no',
    'It needs an MQTT broker, for example Mosquitto on this machine.',
  )
  const trades = yield* yes(
    'trade',
    FOR_OTHERS.includes(role) ? 'Shall it begin its work on a ledger?' : 'Shall it trade with neighbours?',
    FOR_OTHERS.includes(role) ? 'yes' : 'no',
    'That needs an MQTT broker and a ledger: its chain id, and the height and hash of one header, as `tieline-ledger dev` prints them.',
  )
  if (draft.publish || trades) yield* askBroker(draft)
  if (trades) {
    yield* askLedger(draft)
    // Each end of a line has a meter of its own.
    if (draft.meters.length > 0) yield* askDirectLines(draft, around.boards[board] ?? [])
    yield* askGrid(draft, role === 'community')
    yield* askRole(draft)
  }
  yield* askPage(draft)
  draft.passphrase = (yield choose(
    'passphrase',
    'The private keys are sealed by a passphrase. Where does it come from when the agent starts?',
    [
      { value: 'file', label: 'a file beside them', hint: 'starts by itself; who has the card has the keys' },
      { value: 'lent', label: 'systemd lends it', hint: 'LoadCredential=tieline-passphrase' },
      { value: 'asked', label: 'a person types it at each start' },
    ],
    'file',
  )) as Draft['passphrase']
  yield* settle('', draft)
  return draft
}

function* askBroker(draft: Drafting): Walk<void> {
  const url = yield line(
    'broker.url',
    'Which MQTT broker? mqtts:// for one over TLS, as `tieline init --broker` sets it up',
    text => {
      if (literals.parseUrl('mqtt:', 'mqtts:')(text) === undefined)
        return 'must be an address such as mqtt://127.0.0.1:1883'
      return new URL(text).password === '' ? undefined : 'no password may stand in the file: use certificates'
    },
    'mqtt://127.0.0.1:1883',
  )
  const file = (id: string, text: string, initial: string) =>
    parsed(`broker.${id}`, text, it => (it.trim() === '' ? undefined : it), 'a path', initial)
  let tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined
  if (new URL(url).protocol === 'mqtts:') {
    const ca = yield file('ca', 'Which file holds the certificate of its authority?', 'ca.crt')
    const cert = yield file('cert', 'Which file holds the certificate of this site?', `${draft.site}.crt`)
    const key = yield file('key', 'Which file holds the private key of that?', `${draft.site}.key`)
    tls = { ca, cert, key }
  }
  draft.broker = { url, tls }
  yield* settle('broker.', draft)
}

function* askLedger(draft: Drafting): Walk<void> {
  draft.ledger = yield* askLedgerOf('ledger.', 'Which ledger', 'street-1')
  yield* settle('ledger.', draft)
}

/** What a site of this role has on its ledger. */
function* askRole(draft: Drafting): Walk<void> {
  if (draft.role === 'distributor') yield* askDistributor(draft)
  if (draft.role === 'regulator') yield* askRegulator(draft)
  if (draft.role === 'community') yield* askCommunity(draft)
}

function* askPage(draft: Drafting): Walk<void> {
  const where = yield choose(
    'page',
    'Who may open the page? It shows what is metered and traded',
    [
      { value: 'alone', label: 'this machine alone' },
      { value: 'network', label: 'every machine of the network, by a password' },
    ],
    'alone',
  )
  const port = yield because(
    'Two sites on one machine have one each.',
    parsed(
      'page.port',
      'On which port is it?',
      literals.within(literals.parseWhole, 1, 65_535),
      'a port from 1 to 65535',
      USUAL_PORT,
    ),
  )
  draft.listen = `${where === 'alone' ? ALONE : NETWORK}:${port}`
  if (where === 'alone') return
  draft.passwordFile = `${draft.data}/page.password`
  yield* settle('page', draft)
}
