/**
 * Shows one ledger what another one's state says: brings a header over (`follow`), and a proof under a header that has been
 * brought. Both ledgers judge for themselves; nothing here is trusted by either.
 *
 * Headers are shared: whoever comes second finds the first one's header there and only proves under it.
 */
import type { Clock, Log, Timers } from '../../drivers/ports.ts'
import { equalBytes, utf8 } from '../../protocol/bytes.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import { SMT_SPEC, verifyMembership, verifyNonMembership } from '../../protocol/chain/ics23.ts'
import { encodeLightBlock } from '../../protocol/chain/light-block-proto.ts'
import { PEERS } from '../../protocol/ledger/network-tables.ts'
import { decodeAs } from '../../protocol/record.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import type { Proven } from '../../protocol/trade/deal-state.ts'
import type { LedgerView } from '../roles/part.ts'

/** Two blocks of each ledger, where they make one a second, and patience with nodes that are slow. */
const BRING_MS = 60_000
/** About a block. */
const AGAIN_MS = 1000
/** A header that was handed in stands in a block by then, or never will. */
const HANDED_MS = 5000
/** MAX_FOLLOWED heights of at most nine bytes, and six fields. */
const MAX_PEER_BYTES = 2048

/** Proves a key of the one ledger, in its state at that header or a later one, under a header that the other follows. */
export type Bring = (key: Uint8Array, atLeast: bigint) => Promise<Result<Proven>>

export interface BringOptions {
  readonly from: LedgerView
  readonly to: LedgerView
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

export function createBring({ from, to, clock, timers, log }: BringOptions): Bring {
  const peerKey = utf8(`${PEERS.prefix}${from.chainId}`)
  /** The header that this site handed in last, and when. */
  let handed: { readonly height: bigint; readonly at: number } | undefined

  async function followed(): Promise<Result<{ readonly newest: bigint | undefined; readonly anchor: bigint }>> {
    const proven = await to.light.prove(peerKey)
    if (!proven.ok) return proven
    if (proven.value.value === undefined)
      return fail({ code: 'bring.not-followed', chain: from.chainId, by: to.chainId })
    const read = decodeAs(PEERS.codec, proven.value.value, 'peer', MAX_PEER_BYTES)
    if (!read.ok) return read
    const { heights, anchor, frozen } = read.value
    if (frozen !== undefined) return fail({ code: 'bring.frozen', chain: from.chainId, height: frozen.height })
    if (anchor === undefined) return fail({ code: 'bring.no-anchor', chain: from.chainId, by: to.chainId })
    return ok({ newest: heights.at(-1), anchor: anchor.height })
  }

  /** Hands a header in; a block that is not the one that our own light client believes is not handed on. */
  async function carry(height: bigint): Promise<Result<void>> {
    if (handed !== undefined && handed.height >= height && clock.mono() - handed.at < HANDED_MS) return done
    const believed = await from.light.headerAt(height)
    if (!believed.ok) return believed
    let missing: Fault = { code: 'bring.no-node', chain: from.chainId }
    for (const node of from.nodes) {
      const block = await node.lightBlock(height)
      if (!block.ok) missing = block.fault
      else if (!equalBytes(hashHeader(block.value.header), believed.value.hash)) {
        missing = { code: 'bring.other-block', node: node.name, height }
      } else {
        handed = { height, at: clock.mono() }
        const taken = await to.account.submit({ kind: 'follow', body: { block: encodeLightBlock(block.value) } })
        return taken.ok ? done : taken
      }
    }
    return fail(missing)
  }

  async function proveUnder(key: Uint8Array, height: bigint): Promise<Result<Proven>> {
    const believed = await from.light.headerAt(height)
    if (!believed.ok) return believed
    const root = believed.value.header.appHash
    let missing: Fault = { code: 'bring.no-node', chain: from.chainId }
    for (const node of from.nodes) {
      const answer = await node.query(key, height - 1n)
      if (!answer.ok) {
        missing = answer.fault
        continue
      }
      const { value, proof } = answer.value
      const held =
        value === undefined
          ? verifyNonMembership(SMT_SPEC, root, proof, key)
          : verifyMembership(SMT_SPEC, root, proof, key, value)
      if (held.ok) return ok({ height, proof })
      missing = held.fault
    }
    return fail(missing)
  }

  return async (key, atLeast) => {
    const until = later(clock.mono(), BRING_MS)
    for (;;) {
      const known = await followed()
      let missing: Fault = { code: 'bring.late', chain: from.chainId, height: atLeast }
      if (known.ok) {
        const { newest, anchor } = known.value
        if (newest !== undefined && newest >= atLeast) {
          const proven = await proveUnder(key, newest)
          if (proven.ok) return proven
          missing = proven.fault
        }
        // Belief begins at the anchor's own header.
        const next = newest === undefined ? anchor : (from.light.head()?.height ?? atLeast)
        const carried = await carry(next)
        if (!carried.ok) {
          missing = carried.fault
          log('debug', 'grid', `header ${next} of ${from.chainId} was not handed in`, carried.fault)
        }
      } else if (known.fault.code.startsWith('bring.')) return known
      else missing = known.fault
      if (clock.mono() >= until) return fail(missing)
      await timers.sleep(AGAIN_MS)
    }
  }
}
