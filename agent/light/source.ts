/** One ledger node as the light client sees it: every call ends by its deadline, and answers what was asked. */
import type { LedgerRpc, OldHeader, QueryAnswer, Timers, TxAnswer } from '../../drivers/ports.ts'
import type { Evidence } from '../../protocol/chain/evidence.ts'
import type { Header, LightBlock } from '../../protocol/chain/light-block.ts'
import { type Fault, fail, type Result } from '../../protocol/result.ts'

/** What a source last said of a header that another had shown, and of which height; where it is behind, its own. */
export interface Said {
  readonly what: 'agrees' | 'behind' | 'contradicts' | 'refused' | 'silent'
  readonly height: bigint
}

export interface Source {
  readonly name: string
  /** Failures in a row to do its part. */
  strikes: number
  /** Absent before it is first asked. */
  said?: Said
  status(): Promise<Result<{ readonly chainId: string; readonly height: bigint }>>
  lightBlock(height: bigint): Promise<Result<LightBlock>>
  /** As a witness: its header at a height, or how far it has come where that is less. */
  headerAt(height: bigint, chainId: string): Promise<Header | { readonly behindAt: bigint } | 'silent'>
  query(key: Uint8Array, height: bigint): Promise<Result<QueryAnswer>>
  tx(hash: Uint8Array): Promise<Result<TxAnswer>>
  oldHeader(height: bigint, at: bigint): Promise<Result<OldHeader>>
  reportEvidence(evidence: Evidence): Promise<Result<void>>
}

/** What a source was asked for, proven; or why not, and whether its words do not fit together, which is a lie. */
export type Looked<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false
      readonly fault: Fault
      readonly lied: boolean
      /** What it said, for the evidence. */
      readonly shown?: object
    }

const DEADLINE = 'light.deadline'

export function createSource(rpc: LedgerRpc, timers: Timers, deadlineMs: number): Source {
  const { name } = rpc
  const within = <T>(answer: Promise<Result<T>>): Promise<Result<T>> =>
    new Promise((resolve, reject) => {
      const cancel = timers.after(deadlineMs, () =>
        resolve(fail({ code: DEADLINE, source: name, waitedMs: deadlineMs })),
      )
      answer.then(result => {
        cancel()
        resolve(result)
      }, reject)
    })
  const otherHeight = (expected: bigint, received: bigint): { readonly ok: false; readonly fault: Fault } =>
    fail({ code: 'light.wrong-height', source: name, expected, received })
  const status = () => within(rpc.status())
  async function lightBlock(height: bigint): Promise<Result<LightBlock>> {
    const answer = await within(rpc.lightBlock(height))
    if (!answer.ok || answer.value.header.height === height) return answer
    return otherHeight(height, answer.value.header.height)
  }
  return {
    name,
    strikes: 0,
    status,
    lightBlock,
    async headerAt(height, chainId) {
      const block = await lightBlock(height)
      if (block.ok) return block.value.header
      // A node that let one deadline pass is not asked to let another pass.
      if (block.fault.code === DEADLINE) return 'silent'
      const newest = await status()
      if (!newest.ok || newest.value.chainId !== chainId || newest.value.height >= height) return 'silent'
      return { behindAt: newest.value.height }
    },
    async query(key, height) {
      const answer = await within(rpc.query(key, height))
      if (!answer.ok || answer.value.height === height) return answer
      return otherHeight(height, answer.value.height)
    },
    tx: hash => within(rpc.tx(hash)),
    async oldHeader(height, at) {
      const answer = await within(rpc.oldHeader(height, at))
      if (!answer.ok || answer.value.header.height === height) return answer
      return otherHeight(height, answer.value.header.height)
    },
    reportEvidence: evidence => within(rpc.reportEvidence(evidence)),
  }
}
