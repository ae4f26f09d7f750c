/** A full node's RPC without a network: straight onto a producer, after a latency; and any node with faults switched on. */

import type { Producer } from '../../agent/validator/producer.ts'
import type { RpcFault } from '../../drivers/headers/rpc-fault.ts'
import type { LedgerRpc, Timers } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { proveResult, proveTx } from '../../protocol/chain/block.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { done, fail, faultLine, ok, type Result } from '../../protocol/result.ts'

interface SimRpcOptions {
  readonly name: string
  readonly producer: Producer
  readonly timers: Timers
  /** From question to answer. */
  readonly latencyMs?: number
}

export function createSimRpc({ name, producer, timers, latencyMs = 5 }: SimRpcOptions): LedgerRpc {
  const at = async <T>(answer: () => Result<T, RpcFault>): Promise<Result<T, RpcFault>> => {
    await timers.sleep(latencyMs)
    return answer()
  }
  const missing = (height: bigint) => {
    const { height: newest, oldest } = producer.status()
    if (height > newest) return fail<RpcFault>({ code: 'rpc.height-too-high', node: name, asked: height, newest })
    if (height > 0n) return fail<RpcFault>({ code: 'rpc.height-gone', node: name, asked: height, oldest })
    const message = `height must be greater than 0, but got ${height}`
    return fail<RpcFault>({ code: 'rpc.refused', node: name, method: 'commit', message })
  }
  return {
    name,
    status: () => at(() => ok({ chainId: producer.genesis.chainId, height: producer.status().height })),
    lightBlock: height =>
      at(() => {
        const block = producer.lightBlock(height)
        return block === undefined ? missing(height) : ok(block)
      }),
    query: (key, height) =>
      at(() => {
        const found = producer.query(key, height)
        if (found !== undefined) return ok({ height, ...found })
        const message = `state after height ${height} is not kept`
        return fail({ code: 'rpc.refused', node: name, method: 'abci_query', message })
      }),
    submit: tx =>
      at(() => {
        const submission = producer.submit(tx)
        if (submission.kind === 'known') return ok({ code: 0, log: '', hash: submission.hash })
        if (submission.kind === 'checked') {
          const { code, log } = submission.outcome
          return ok({ code, log, hash: submission.hash })
        }
        const message = `mempool is full: number of txs ${submission.txs} (max: ${submission.limit})`
        return fail({ code: 'rpc.refused', node: name, method: 'broadcast_tx_sync', message })
      }),
    tx: hash =>
      at(() => {
        const place = producer.tx(hash)
        if (place === undefined) return fail({ code: 'rpc.no-tx', node: name, hash: toHex(hash) })
        const { block, index } = place
        return ok({
          height: block.header.height,
          tx: block.txs[index]!,
          proof: proveTx(block.txs, index),
          result: block.results[index]!,
          resultProof: proveResult(block.results, index),
        })
      }),
    oldHeader: (height, under) =>
      at(() => {
        const block = producer.block(height)
        if (block === undefined) return missing(height)
        const found = producer.headerProof(height, under)
        if (found === undefined) return ok({ header: block.header })
        const { proof, state } = found
        return ok({ header: block.header, accumulated: { proof, record: state.value!, recordProof: state.proof } })
      }),
    reportEvidence: evidence =>
      at(() => {
        const taken = producer.report(evidence)
        if (taken.ok) return done
        return fail({ code: 'rpc.refused', node: name, method: 'broadcast_evidence', message: faultLine(taken.fault) })
      }),
  }
}

/** How a node misbehaves. Nothing set is an honest node. */
export interface NodeFaults {
  /** Cannot be reached. */
  down?: boolean
  /** Takes the question and never answers. */
  silent?: boolean
  /** Knows of no block beyond this height. */
  withholdAfter?: bigint | undefined
  /** Alters the header itself, or the first signature under it. */
  forge?: 'app-hash' | 'signature' | undefined
  /** Serves another block than it has. */
  alter?: ((block: LightBlock) => Promise<LightBlock>) | undefined
  /** Alters what the state holds under a key, or says that it holds nothing; the proof stays the true one. */
  forgeState?: ((value: Uint8Array | undefined) => Uint8Array | undefined) | undefined
}

/** `node` with faults that can be switched while it runs. */
export function withFaults(node: LedgerRpc, faults: NodeFaults): LedgerRpc {
  const { name } = node
  const ask = async <T>(question: () => Promise<Result<T>>): Promise<Result<T>> => {
    if (faults.down === true) return fail({ code: 'rpc.unreachable', node: name, why: 'switched off' })
    if (faults.silent === true) return new Promise(() => {})
    return question()
  }
  return {
    name,
    status: () =>
      ask(async () => {
        const status = await node.status()
        const limit = faults.withholdAfter
        return status.ok && limit !== undefined && status.value.height > limit
          ? ok({ ...status.value, height: limit })
          : status
      }),
    lightBlock: height =>
      ask(async () => {
        const limit = faults.withholdAfter
        if (limit !== undefined && height > limit) {
          return fail({ code: 'rpc.height-too-high', node: name, asked: height, newest: limit })
        }
        const block = await node.lightBlock(height)
        if (block.ok && faults.alter !== undefined) return ok(await faults.alter(block.value))
        return block.ok && faults.forge !== undefined ? ok(forgeBlock(block.value, faults.forge)) : block
      }),
    query: (key, height) =>
      ask(async () => {
        const answer = await node.query(key, height)
        return answer.ok && faults.forgeState !== undefined
          ? ok({ ...answer.value, value: faults.forgeState(answer.value.value) })
          : answer
      }),
    submit: tx => ask(() => node.submit(tx)),
    tx: hash => ask(() => node.tx(hash)),
    oldHeader: (height, at) => ask(() => node.oldHeader(height, at)),
    reportEvidence: evidence => ask(() => node.reportEvidence(evidence)),
  }
}

/** A copy with its first bit turned. */
function turned(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[0]! ^= 0x80
  return copy
}

function forgeBlock(block: LightBlock, what: NonNullable<NodeFaults['forge']>): LightBlock {
  const { header, commit } = block
  if (what === 'app-hash') return { ...block, header: { ...header, appHash: turned(header.appHash) } }
  const signatures = commit.signatures.map((sig, i) => (i === 0 ? { ...sig, signature: turned(sig.signature) } : sig))
  return { ...block, commit: { ...commit, signatures } }
}
