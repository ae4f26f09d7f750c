/**
 * A community group whose gateway nobody has to trust: five members net among themselves; one gateway lies to them and one goes
 * silent, each is found out by the members' own sums and replaced on the ledger.
 */
import type { Seams } from '../../agent/compose.ts'
import { keysFromSeed } from '../../agent/world.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { GROUPS, type Group } from '../../protocol/ledger/service-tables.ts'
import {
  assembleStatement,
  encodeStatement,
  statementToSign,
  verifyStatement,
} from '../../protocol/market/community.ts'
import { micros } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { done, must } from '../../protocol/result.ts'
import { constantProfile, type Profile, solarGeneration } from '../sim/profile.ts'
import { awaited } from '../sim/run-seed.ts'
import { benchSeed } from '../sim/street.ts'
import { txsOf } from './accounts.ts'
import { type District, gridMeterId, SLOT_MS } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { namesOf } from './ledger-view.ts'
import { type DistrictRun, openDistrict } from './run-district.ts'
import type { Scenario, ScenarioResult, ScenarioSettings } from './scenario.ts'

const W = (watts: number): Profile => constantProfile(watts * 1000)
const GROUP = 'sunny-street'
/** Micro-units a Wh, as in `TARIFF`. */
const RETAIL = 300n
const FEED_IN = 100n
/** That the liar asks of each of the others beyond what it owes. */
const EXTRA = 10_000n
const TARIFF = { import: '0.30', feed_in: '0.10' }
/** Readings around the first and the last slot are taken within ten seconds of their boundaries: ten watt-hours at 3.6 kW. */
const BOUNDARIES_MICRO = 3_000n
/** By then a slot's account is settled, by a second gateway, too. */
const SETTLED_MS = 780_000

const MEMBERS: readonly (readonly [name: string, loadW: number, peakW: number])[] = [
  ['ada', 300, 5_000],
  ['bob', 400, 4_000],
  ['cyd', 1_200, 0],
  ['dan', 900, 0],
  ['eve', 1_600, 0],
]
const NAMES = MEMBERS.map(([name]) => name)
const FOUNDER = 'ada'

const district = (seed: number): District => ({
  slotMs: SLOT_MS,
  feeders: [],
  sites: MEMBERS.map(([name, loadW, peakW], index) => ({
    ...{ name, role: name === FOUNDER ? 'community' : 'household', node: 'street', grid: {} },
    profile: { load: W(loadW), generation: peakW === 0 ? W(0) : solarGeneration(seed + index, peakW) },
    sections: {
      community: {
        ...{ group: GROUP, rule: 'mid-market', tariff: TARIFF },
        ...(name === FOUNDER ? { found: 'true' } : {}),
        members: Object.fromEntries(NAMES.flatMap((one, at) => (one === name ? [] : [[one, gridMeterId(at)]]))),
      },
    },
  })),
})

interface Reduced {
  /** Nobody hears of anybody's readings from the lie on, and so nobody can work out what the gateway says. */
  readonly blind?: boolean
}

export async function runCommunity(
  { seed, realSigner, onProgress, logOf }: ScenarioSettings,
  { blind = false }: Reduced = {},
): Promise<ScenarioResult> {
  const run = await openDistrict(district(seed), {
    seed,
    realSigner,
    absent: [FOUNDER],
    blockMs: 5_000,
    pace: { followMs: 10_000 },
    ...(logOf === undefined ? {} : { logOf }),
  })
  const { clock } = run.running
  let lying = false
  const liar: Seams = {
    post: post => ({
      ...post,
      async send(to, body, how) {
        if (lying && blind && body.kind === 'usage') return done
        if (!lying || body.kind !== 'shares') return post.send(to, body, how)
        return post.send(to, { ...body, statement: await falsify(run, body.statement) }, how)
      },
    }),
  }
  must(await awaited(run.ports.time, run.running.start(FOUNDER, liar)))
  const names = namesOf(run)
  const gateway = () => names.get(toHex(groupOf(run)!.gateway))!
  const joined = await run.until(() => groupOf(run)?.members.length === MEMBERS.length, SLOT_MS - 60_000)
  await run.advance(SLOT_MS - (clock.now() % SLOT_MS))
  const began = clock.now()

  /** Who settled each slot in the end. */
  const settledBy: string[] = []
  const settle = async (what: string) => {
    settledBy.push(gateway())
    onProgress(`${what}: ${gateway()} is the gateway`)
  }
  await run.advance(SLOT_MS + SETTLED_MS)
  await settle('an honest gateway')
  lying = true
  await run.advance(SLOT_MS)
  await settle('a lying one')
  lying = false
  // Its own readings are shown by then, its word on the slot is not.
  const second = gateway()
  await run.advance(SLOT_MS - SETTLED_MS + 60_000)
  if (second !== FOUNDER) await run.leave(second, SETTLED_MS - 60_000)
  else await run.advance(SETTLED_MS - 60_000)
  await settle('a silent one')
  await run.advance(SLOT_MS)
  await settle('an honest one again')

  const costs = costsOf(run, began, settledBy)
  const worse = costs.filter(({ name, paid, standalone }) => name !== FOUNDER && paid > standalone + BOUNDARIES_MICRO)
  const facts = {
    members: groupOf(run)!.members.length,
    slots_settled: settledBy.length,
    gateways: settledBy,
    /** Members who named the second and the third gateway on the ledger. */
    lie_found_by: namedBy(run, settledBy[1]!),
    silence_found_by: namedBy(run, settledBy[2]!),
    lying_gateway_replaced: settledBy[1] !== settledBy[0],
    silent_gateway_replaced: settledBy[2] !== settledBy[1],
    /** Of those who did not lie. */
    worse_off: worse.length,
    saved_micro: Object.fromEntries(costs.map(({ name, paid, standalone }) => [name, Number(standalone - paid)])),
    standalone_micro: Object.fromEntries(costs.map(({ name, standalone }) => [name, Number(standalone)])),
  }
  const broken = [
    ...(joined ? [] : ['the group was not whole in time']),
    ...(facts.lying_gateway_replaced ? [] : ['the gateway lied, and is still the gateway']),
    ...(facts.silent_gateway_replaced ? [] : ['the gateway was silent, and is still the gateway']),
    ...worse.map(({ name, paid, standalone }) => `${name} paid ${paid}, and ${standalone} alone`),
    ...(costs.some(({ paid, standalone }) => paid < standalone) ? [] : ['nobody gained by the group']),
  ]
  return judgeDistrict(run, 'community', facts, broken)
}

function groupOf({ ledgers: { energy } }: DistrictRun): Group | undefined {
  const value = energy.query(utf8(GROUPS.prefix + GROUP), energy.status().height)?.value
  return value === undefined ? undefined : must(decodeAs(GROUPS.codec, value, 'group', 65_536))
}

/** The founder's own word, signed by its key: a coin's hundredth more from each of the others, all of it for itself. */
async function falsify({ seed, ports }: DistrictRun, envelope: Uint8Array): Promise<Uint8Array> {
  const { account } = keysFromSeed(benchSeed(seed, FOUNDER), ports.signer)
  const honest = must(verifyStatement(envelope, account.publicKey, ports.verifier))
  const own = addressOf(account.publicKey)
  const more = BigInt(honest.members.length - 1) * EXTRA
  const members = honest.members.map(one => ({
    ...one,
    payment: micros(one.payment + (equalBytes(one.member, own) ? -more : EXTRA)),
  }))
  const bytes = encodeStatement({ ...honest, members })
  const signature = must(await account.sign(statementToSign(bytes, account.publicKey)))
  return assembleStatement(bytes, account.publicKey, signature)
}

const namedBy = (run: DistrictRun, gateway: string): number => {
  const names = namesOf(run)
  const senders = [...txsOf(run.ledgers.energy)].flatMap(({ sender, kind, body }) =>
    kind === 'gateway' && names.get(toHex(body.gateway)) === gateway ? [toHex(sender)] : [],
  )
  return new Set(senders).size
}

/** What each member paid, to others on the ledger and, as the gateway of a slot, to the supplier; and what it had paid alone. */
function costsOf(run: DistrictRun, began: number, settledBy: readonly string[]) {
  const names = namesOf(run)
  const books = new Map(NAMES.map(name => [name, { paid: 0n, standalone: 0n }]))
  settledBy.forEach((gateway, at) => {
    const start = began + at * SLOT_MS
    let net = 0n
    for (const name of NAMES) {
      const moments = run.counted.get(name)!
      const [from, to] = [moments.get(start)!, moments.get(start + SLOT_MS)!]
      const imported = to.imported / 1000n - from.imported / 1000n
      const exported = to.exported / 1000n - from.exported / 1000n
      books.get(name)!.standalone += imported * RETAIL - exported * FEED_IN
      net += imported - exported
    }
    books.get(gateway)!.paid += net * (net > 0n ? RETAIL : FEED_IN)
  })
  for (const { sender, kind, body } of txsOf(run.ledgers.energy)) {
    if (kind !== 'transfer') continue
    books.get(names.get(toHex(sender)) ?? '')!.paid += body.amount
    books.get(names.get(toHex(body.to)) ?? '')!.paid -= body.amount
  }
  return [...books].map(([name, book]) => ({ name, ...book }))
}

export const community: Scenario = {
  name: 'community',
  what: 'a group that nets among itself, whose gateway lies, then goes silent, and is replaced by its members',
  run: settings => runCommunity(settings),
}
