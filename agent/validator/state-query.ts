/**
 * The application's queries, as a CometBFT node passes them on and as our own RPC answers them:
 *
 *     path            data                     value                       proof
 *     /key, or none   a state key              its value, none if absent   ICS-23, existence or absence
 *     /key/compact    a state key              the same                    the same in our compact form
 *     /state          the key before, or none  one page of the state       none: it is checked as a whole
 *     /header         a height in decimal      the accumulator's record    two steps: header-query.ts
 */
import { compactProof } from '../../protocol/chain/smt-compact.ts'
import type { LedgerApp } from '../../protocol/ledger/app.ts'
import { must } from '../../protocol/result.ts'
import { HEADER_PATH, headerProofOps, heightOfData, type ProofOp } from './header-query.ts'
import { pageState } from './state-page.ts'

export interface StateQuery {
  readonly path: string
  readonly data: Uint8Array
  readonly height: bigint
  readonly prove: boolean
}

export interface StateReply {
  /** 0, or a number of QUERY_CODES. */
  readonly code: number
  readonly log: string
  readonly value?: Uint8Array
  readonly ops: readonly ProofOp[]
}

const QUERY_CODES = { gone: 1, noKey: 2, noPath: 3, notBegun: 4 } as const

/** Names the form of the proof in its operation. */
const COMPACT = 'tieline:smt-compact'

/** `state` is undefined before the ledger has begun. */
export function answerQuery(
  state: Pick<LedgerApp, 'query' | 'entries' | 'headerProof'> | undefined,
  { path, data, height, prove }: StateQuery,
): StateReply {
  const refuse = (code: keyof typeof QUERY_CODES, log: string) => ({ code: QUERY_CODES[code], log, ops: [] })
  const give = (value: Uint8Array | undefined, ops: readonly ProofOp[] = []) =>
    value === undefined ? { code: 0, log: '', ops } : { code: 0, log: '', value, ops }
  const gone = () => refuse('gone', `state after height ${height} is not kept`)
  if (state === undefined) return refuse('notBegun', 'this ledger has not begun')
  switch (path) {
    case '/state': {
      const entries = state.entries(height, data.length === 0 ? undefined : data)
      return entries === undefined ? gone() : give(pageState(entries))
    }
    case HEADER_PATH: {
      const header = heightOfData(data)
      if (header < 1n || header > height) return refuse('gone', `headers 1 to ${height} are known, not ${header}`)
      const found = state.headerProof(header, height)
      return found === undefined ? gone() : give(found.state.value, headerProofOps(data, found))
    }
    case '':
    case '/key':
    case '/key/compact': {
      if (data.length === 0) return refuse('noKey', 'data must be the key')
      const found = state.query(data, height)
      if (found === undefined) return gone()
      if (!prove) return give(found.value)
      // Our own tree made the proof just now.
      const compact = () => ({ type: COMPACT, key: data, data: must(compactProof(found.proof, data)) })
      return give(found.value, [
        path === '/key/compact' ? compact() : { type: 'ics23:smt', key: data, data: found.proof },
      ])
    }
    default:
      return refuse('noPath', `no path ${path}: /key, /key/compact, /state or ${HEADER_PATH}`)
  }
}
