/** What each role may do, tried: everybody tries everything, and only whose office it is gets through. */
import { utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { newReception, pairKeys, seal, sealingKey, unseal } from '../../protocol/crypto/seal.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import { clear, clearingHash } from '../../protocol/market/clear.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { later, mono } from '../../protocol/time.ts'
import { encodeContract } from '../../protocol/trade/contract.ts'
import { CAST_NAMES, type Lab, type LabParty, labCommit, labContract, openLab } from './lab.ts'

interface Office {
  readonly of: LabParty
  readonly on: 'energy' | 'grid'
  content(lab: Lab): TxContent
}

const some = wattHours(1_000n)

/** One transaction of each office. */
const OFFICES: readonly Office[] = [
  {
    of: 'regulator',
    on: 'energy',
    content: lab => ({
      kind: 'band',
      body: { from: later(lab.now(), 60_000), floor: microsPerKwh(0n), ceiling: microsPerKwh(1_000_000n) },
    }),
  },
  {
    of: 'regulator',
    on: 'energy',
    content: lab => ({ kind: 'suspend', body: { meterId: 'X-1', from: later(lab.now(), 60_000) } }),
  },
  { of: 'distributor', on: 'grid', content: () => ({ kind: 'capacity', body: { line: 'ash', energy: some } }) },
  {
    of: 'distributor',
    on: 'grid',
    content: lab => ({
      kind: 'tariff',
      body: { line: 'elm', from: later(lab.now(), 60_000), price: microsPerKwh(20_000n) },
    }),
  },
  { of: 'community', on: 'energy', content: () => ({ kind: 'found', body: { group: 'lab-group' } }) },
  { of: 'issuer', on: 'energy', content: () => ({ kind: 'issue', body: { deal: sha256(utf8('no deal')) } }) },
  {
    of: 'aggregator',
    on: 'energy',
    content: lab => ({
      kind: 'event',
      body: {
        start: later(lab.now(), 3_600_000),
        end: later(lab.now(), 7_200_000),
        reportBy: later(lab.now(), 10_800_000),
        price: microsPerKwh(100_000n),
        most: some,
      },
    }),
  },
]

/** A distributor may call for demand response as an aggregator may: it is its lines that are relieved. */
const MAY_TOO: Readonly<Partial<Record<TxContent['kind'], LabParty>>> = { event: 'distributor' }

/** Every office by everybody: how many were told that it is not theirs, and where that was wrong. */
export async function tryOffices(): Promise<{ readonly refused: number; readonly wrong: readonly string[] }> {
  const wrong: string[] = []
  let refused = 0
  for (const { of, on, content } of OFFICES) {
    for (const party of CAST_NAMES) {
      const lab = await openLab()
      const asked = content(lab)
      const verdict = await lab.send(lab[on], party, asked)
      const may = party === of || MAY_TOO[asked.kind] === party
      if (verdict === 'ledger.role-only') refused++
      if (may !== (verdict !== 'ledger.role-only')) wrong.push(`${party} ${asked.kind}: ${verdict}`)
    }
  }
  return { refused, wrong }
}

/** What a regulator cannot do, each tried with all that it has. */
export async function tryRegulator(): Promise<readonly string[]> {
  const cannot: string[] = []
  const lab = await openLab()
  const contract = labContract(lab)
  const reserved = {
    kind: 'reserve',
    body: { contract: encodeContract(contract), feeMost: 0n },
  } as unknown as TxContent
  const forged = await lab.send(lab.grid, 'regulator', reserved)
  const signed = await lab.send(lab.energy, 'buyer', labCommit(lab, contract, undefined, { seller: 'regulator' }))
  if (forged !== 'taken' && signed !== 'taken') cannot.push('forge')
  if (sameInEveryOrder()) cannot.push('reorder')
  if (!readsSealed(lab)) cannot.push('read a bid')
  return cannot
}

/** Whether a clearing is the same in whatever order the orders are laid before it. */
function sameInEveryOrder(): boolean {
  const orders = Array.from({ length: 40 }, (_, at) => ({
    id: sha256(utf8(`order ${at}`)).subarray(0, 16),
    side: at % 2 === 0 ? ('bid' as const) : ('offer' as const),
    quantity: wattHours(BigInt(100 + 7 * at)),
    limit: microsPerKwh(BigInt(100_000 + ((at * 7919) % 50_000))),
    sequence: 0,
  }))
  const rule = { rule: 'pay-as-clear', option: 'midpoint', k: 500, ties: 'first-come' } as const
  const beacon = sha256(utf8('beacon'))
  const hashOf = (book: typeof orders) =>
    Buffer.from(clearingHash(book, must(clear(book, rule, beacon)))).toString('hex')
  const straight = hashOf(orders)
  return [orders.toReversed(), [...orders.slice(13), ...orders.slice(0, 13)]].every(book => hashOf(book) === straight)
}

/** Whether the regulator, who sees every byte that passes, opens what a seller says to a buyer. */
function readsSealed(lab: Lab): boolean {
  const [seller, buyer, regulator] = ['seller', 'buyer', 'regulator'].map(name => sealingKey(sha256(utf8(name))))
  const topic = 'tieline/1/buyer'
  const keys = must(pairKeys(seller!, buyer!.publicKey))
  const bytes = seal(keys.send.seal, lab.addressOf('seller'), topic, new Uint8Array(24), utf8('a bid of 0.25'))
  const own = must(pairKeys(regulator!, seller!.publicKey))
  const opened = unseal(
    bytes,
    {
      topic,
      verifier: { verify: () => true },
      peerOf: () => ({
        publicKey: lab.keyOf('seller').publicKey,
        keys: own.receive,
        reception: newReception(mono(0)),
      }),
    },
    mono(0),
  )
  return opened.result.ok || opened.result.fault.code !== 'seal.forged'
}
