/** `tieline-bench attacks`: every attack and every office tried, and what a deal comes to when somebody defects. */
import type { Producer } from '../../agent/validator/producer.ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { hashData } from '../../protocol/chain/block.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import { encodeContract } from '../../protocol/trade/contract.ts'
import { lockedDeal, tryAttacks } from './attacks.ts'
import { type Conduct, played, settle } from './conduct.ts'
import { labReceipt, openLab } from './lab.ts'
import { tryOffices, tryRegulator } from './powers.ts'
import type { ScenarioResult } from './scenario.ts'

export async function reportAttacks(onProgress: (text: string) => void): Promise<ScenarioResult> {
  const tried = await tryAttacks()
  onProgress(`${tried.length} attacks tried`)
  const { refused, wrong } = await tryOffices()
  const regulatorCannot = await tryRegulator()
  onProgress('offices tried')
  const gained = await whoGains()
  const refusedAs = (name: string) => tried.some(({ outcome }) => outcome === name)
  const notRefused = tried.filter(({ outcome, refused }) => outcome !== refused)
  const facts = {
    attacks: Object.fromEntries(tried.map(({ name, outcome }) => [name, outcome])),
    not_refused: notRefused.map(({ name, outcome }) => `${name}: ${outcome}`),
    tampered_history: await tamperedHistory(),
    lifecycle: await lifecycle(),
    limits_bind: [
      ...(refusedAs('ledger.capacity') ? ['capacity'] : []),
      ...(refusedAs('ledger.price-band') ? ['price band'] : []),
    ],
    regulator_cannot: regulatorCannot,
    commitment_alone: await commitmentAlone(),
    gained_by_defecting: gained,
    powers_held: wrong.length === 0,
    wrong_roles_refused: refused,
  }
  const problems = [
    ...facts.not_refused,
    ...wrong,
    ...gained.map(who => `${who} gains`),
    ...(facts.tampered_history === 'found' ? [] : ['a changed transaction was not found']),
  ]
  return { ok: problems.length === 0, scenario: 'attacks', seed: 0, facts, problems }
}

/** A history whose last header alone is known: whether a transaction in the middle of it was changed. */
async function tamperedHistory(): Promise<string> {
  const lab = await openLab()
  await lockedDeal(lab)
  const { energy } = lab
  const { height } = energy.status()
  const head = hashHeader(energy.block(height)!.header)
  let changed = 0n
  for (let at = height; at > 0n; at--) if (energy.block(at)!.txs.length > 0) changed = at
  const honest = brokenAt(energy, height, head, (_, txs) => txs)
  const tampered = brokenAt(energy, height, head, (at, txs) =>
    at === changed ? txs.map(tx => tx.map((byte, i) => (i === 40 ? byte ^ 1 : byte))) : txs,
  )
  return honest === undefined && tampered === changed ? 'found' : 'not found'
}

/** The first height, from the head down, at which what is shown is not what the head's hash stands for. */
function brokenAt(
  producer: Producer,
  height: bigint,
  head: Uint8Array,
  shown: (height: bigint, txs: readonly Uint8Array[]) => readonly Uint8Array[],
): bigint | undefined {
  let expected = head
  for (let at = height; at > 0n; at--) {
    const { header, txs } = producer.block(at)!
    if (!equalBytes(hashHeader(header), expected)) return at
    if (!equalBytes(hashData(shown(at, txs)), header.dataHash)) return at
    expected = header.lastBlockId.hash
  }
  return undefined
}

async function lifecycle(): Promise<readonly string[]> {
  const paid = await played({})
  const alone = await played({ buyerSilent: true })
  const expired = await played({ sellerSilent: true, buyerSilent: true })
  return [
    ...(paid.state === 'settled' && paid.outcome!.paid > 0n ? ['paid'] : []),
    ...(alone.outcome?.disputed === true ? ['disputed'] : []),
    ...(expired.state === 'refunded' ? ['expired'] : []),
  ]
}

async function commitmentAlone(): Promise<readonly string[]> {
  const lab = await openLab()
  const contract = await lockedDeal(lab)
  const before = lab.balance('seller')
  await settle(lab, contract)
  const { state } = lab.deal(encodeContract(contract))!
  const late = await lab.send(lab.energy, 'seller', labReceipt(lab, contract, { side: 'seller', wh: 1_500n }))
  const moved = lab.balance('seller') !== before
  return [moved ? 'moved money' : state, late]
}

/** Whoever is better off than in the honest course of things. What a meter says is not theirs to change. */
async function whoGains(): Promise<readonly string[]> {
  const honest = (await played({})).outcome!
  const cases: readonly (readonly [who: string, side: 'seller' | 'buyer', conduct: Conduct])[] = [
    ['a seller that withholds its receipt', 'seller', { sellerSilent: true }],
    ['a buyer that withholds its receipt', 'buyer', { buyerSilent: true }],
    ['a seller whose receipt claims more than the buyer got', 'seller', { seller: { wh: 2_000n } }],
    ['a seller whose receipt claims more than was contracted', 'seller', { seller: { wh: 9_000n } }],
    ['a seller that both stay silent with', 'seller', { sellerSilent: true, buyerSilent: true }],
    ['a seller whose receipt is of another hour', 'seller', { seller: { beginAt: 0 } }],
    ['a buyer whose receipt is forged', 'buyer', { buyer: { signedBy: 'seller meter', wh: 1n } }],
  ]
  const better: string[] = []
  // The buyer's meter counts what comes from whomever: who sent nothing must not be paid by it.
  const sentNothing = (await played({ seller: { wh: 0n } })).outcome!
  const silent = (await played({ sellerSilent: true })).outcome!
  if (silent.paid > sentNothing.paid) better.push('a seller that sent nothing and says nothing')
  for (const [who, side, conduct] of cases) {
    const { outcome } = await played(conduct)
    const gain = side === 'seller' ? outcome!.paid - honest.paid : outcome!.refunded - honest.refunded
    if (gain > 0n) better.push(who)
  }
  return better
}
