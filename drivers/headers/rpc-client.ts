/** A full node of CometBFT (or `tieline-ledger`) as a LedgerRpc, over its HTTP RPC. */
import { equalBytes, fromHex, toHex, utf8 } from '../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../protocol/chain/base64.ts'
import { proveResult } from '../../protocol/chain/block.ts'
import { evidenceJson } from '../../protocol/chain/evidence-json.ts'
import type { LightBlock, Validator } from '../../protocol/chain/light-block.ts'
import { decodeProof, parseResults, parseTx } from '../../protocol/chain/merkle-proof.ts'
import { type JsonFault, parseHeader, parseSignedHeader, parseValidators } from '../../protocol/chain/rpc-json.ts'
import { hashValidators, MAX_VALIDATORS } from '../../protocol/chain/validators.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { LedgerRpc, OldHeader, TxAnswer } from '../ports.ts'
import { callRpc, type RpcParams } from './rpc-call.ts'
import type { RpcFault } from './rpc-fault.ts'

interface RpcClientOptions {
  /** Base URL, as in `http://127.0.0.1:26657`. */
  readonly url: string
  readonly timeoutMs?: number
  /** Bytes of one answer. */
  readonly limit?: number
}

/** A node nearby answers in milliseconds; whoever asks over a bad line sets more. */
const TIMEOUT_MS = 5_000
/** A commit of ten thousand validators, CometBFT's limit, is below this. */
const LIMIT = 4 * 1024 * 1024
/** The largest page that CometBFT serves. */
const PER_PAGE = 100
/** Sets change seldom; the last few serve a client that walks backwards over a change. */
const SETS_KEPT = 4
/** How CometBFT says that a transaction waits already or is in a block. */
const KNOWN_TX = 'tx already exists in cache'
/** How CometBFT says that it knows of no transaction of a hash. */
const NO_TX = /^tx \([0-9A-F]+\) not found/

type Fields = Readonly<Record<string, unknown>>
type Answer<T> = Result<T, RpcFault>

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const heightOf = (value: unknown): bigint | undefined =>
  typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : undefined

export function createRpcClient({ url, timeoutMs = TIMEOUT_MS, limit = LIMIT }: RpcClientOptions): LedgerRpc {
  const sets = new Map<string, readonly Validator[]>()
  const bad = (method: string, reason: string) => fail<RpcFault>({ code: 'rpc.answer', node: url, method, reason })
  const misshapen = (method: string, { place, expected }: JsonFault) => bad(method, `${place} is not ${expected}`)

  async function call(method: string, params: RpcParams): Promise<Answer<Fields>> {
    const result = await callRpc(url, method, params, { timeoutMs, limit })
    if (!result.ok) return result
    return isObject(result.value) ? ok(result.value) : bad(method, 'result is not an object')
  }

  /** Every page of the set at a height. */
  async function fetchValidators(height: bigint): Promise<Answer<readonly Validator[]>> {
    const all: Validator[] = []
    for (let page = 1; ; page++) {
      const answer = await call('validators', {
        height: String(height),
        page: String(page),
        per_page: String(PER_PAGE),
      })
      if (!answer.ok) return answer
      const { block_height, validators, total } = answer.value
      const of = heightOf(total)
      if (heightOf(block_height) !== height)
        return bad('validators', `block_height ${String(block_height)} for ${height}`)
      if (of === undefined || of > BigInt(MAX_VALIDATORS)) return bad('validators', 'total')
      const parsed = parseValidators(validators)
      if (!parsed.ok) return misshapen('validators', parsed.fault)
      all.push(...parsed.value)
      if (BigInt(all.length) >= of) return ok(all)
      // An empty page would be asked for for ever.
      if (parsed.value.length === 0) return bad('validators', `${all.length} of ${of} validators`)
    }
  }

  /**
   * The set that a header names. One seen before is not fetched again: its hash is the proof that it is the same, all but
   * the proposer priorities, which nothing of a light client depends on.
   */
  async function validatorsOf(height: bigint, hash: Uint8Array): Promise<Answer<readonly Validator[]>> {
    const known = sets.get(toHex(hash))
    if (known !== undefined) return ok(known)
    const fetched = await fetchValidators(height)
    if (fetched.ok && equalBytes(hashValidators(fetched.value), hash)) {
      if (sets.size >= SETS_KEPT) sets.delete(sets.keys().next().value!)
      sets.set(toHex(hash), fetched.value)
    }
    return fetched
  }

  /** What the application answers about its state after a block, with the bytes of each step of the proof. */
  async function ask(path: string, data: Uint8Array, height: bigint) {
    const answer = await call('abci_query', { path, data: toHex(data), height: String(height), prove: true })
    if (!answer.ok) return answer
    const { response } = answer.value
    if (!isObject(response)) return bad('abci_query', 'no response')
    if ((response['code'] ?? 0) !== 0) {
      return fail<RpcFault>({
        code: 'rpc.refused',
        node: url,
        method: 'abci_query',
        message: String(response['log']).slice(0, 500),
      })
    }
    if (heightOf(response['height']) !== height) return bad('abci_query', `height ${String(response['height'])}`)
    const value = bytesOf(response['value'])
    const proofs = proofsOf(response['proofOps'])
    return value === 'bad' || proofs === undefined ? bad('abci_query', 'no value or proof') : ok({ value, proofs })
  }

  return {
    name: url,

    async status() {
      const answer = await call('status', {})
      if (!answer.ok) return answer
      const { node_info: node, sync_info: sync } = answer.value
      const chainId = isObject(node) ? node['network'] : undefined
      const height = isObject(sync) ? heightOf(sync['latest_block_height']) : undefined
      if (typeof chainId !== 'string' || height === undefined) return bad('status', 'no network or height')
      const id = isObject(node) ? node['id'] : undefined
      return ok({ chainId, height, ...(typeof id === 'string' && /^[0-9a-fA-F]{40}$/.test(id) ? { node: id } : {}) })
    },

    async lightBlock(height): Promise<Answer<LightBlock>> {
      const answer = await call('commit', { height: String(height) })
      if (!answer.ok) return answer
      const signed = parseSignedHeader(answer.value['signed_header'])
      if (!signed.ok) return misshapen('commit', signed.fault)
      const validators = await validatorsOf(height, signed.value.header.validatorsHash)
      return validators.ok ? ok({ ...signed.value, validators: validators.value }) : validators
    },

    async query(key, height) {
      const answer = await ask('/key', key, height)
      if (!answer.ok) return answer
      const [proof, ...more] = answer.value.proofs
      // A second step would mean a tree of trees, which our state is not.
      if (proof === undefined || more.length > 0) return bad('abci_query', `${answer.value.proofs.length} proofs`)
      return ok({ height, value: answer.value.value, proof })
    },

    async submit(tx) {
      const answer = await call('broadcast_tx_sync', { tx: toBase64(tx) })
      const hash = sha256(tx)
      if (!answer.ok) {
        const { fault } = answer
        // It came through before: the answer was lost, not the transaction.
        return fault.code === 'rpc.refused' && fault.message === KNOWN_TX
          ? ok({ code: 0, log: KNOWN_TX, hash })
          : answer
      }
      const { code, log } = answer.value
      const named = typeof answer.value['hash'] === 'string' ? fromHex(answer.value['hash']) : undefined
      if (typeof code !== 'number' || !Number.isSafeInteger(code) || typeof log !== 'string') {
        return bad('broadcast_tx_sync', 'no code or log')
      }
      if (named === undefined || !equalBytes(named, hash)) return bad('broadcast_tx_sync', "another transaction's hash")
      return ok({ code, log: log.slice(0, 500), hash })
    },

    async tx(hash): Promise<Answer<TxAnswer>> {
      const answer = await call('tx', { hash: toBase64(hash), prove: true })
      if (!answer.ok) {
        const { fault } = answer
        return fault.code === 'rpc.refused' && NO_TX.test(fault.message)
          ? fail({ code: 'rpc.no-tx', node: url, hash: toHex(hash) })
          : answer
      }
      const found = parseTx(answer.value)
      if (!found.ok) return misshapen('tx', found.fault)
      const { height, index, tx, proof } = found.value
      const block = await call('block_results', { height: String(height) })
      if (!block.ok) return block
      const results = parseResults(block.value)
      if (!results.ok) return misshapen('block_results', results.fault)
      const result = results.value[index]
      if (result === undefined) return bad('block_results', `no result ${index}`)
      return ok({ height, tx, proof, result, resultProof: proveResult(results.value, index) })
    },

    async oldHeader(height, at): Promise<Answer<OldHeader>> {
      const answer = await call('header', { height: String(height) })
      if (!answer.ok) return answer
      const header = parseHeader(answer.value['header'])
      if (!header.ok) return misshapen('header', header.fault)
      const proven = await ask('/header', utf8(String(height)), at)
      // A node whose application keeps no accumulator still has the header.
      if (!proven.ok) return proven.fault.code === 'rpc.refused' ? ok({ header: header.value }) : proven
      const { value: record, proofs } = proven.value
      const proof = proofs[0] === undefined ? undefined : decodeProof(proofs[0])
      if (proof?.ok !== true || record === undefined || proofs.length !== 2) return bad('abci_query', 'no header proof')
      return ok({ header: header.value, accumulated: { proof: proof.value, record, recordProof: proofs[1]! } })
    },

    async reportEvidence(evidence) {
      const answer = await call('broadcast_evidence', { evidence: evidenceJson(evidence) })
      return answer.ok ? done : answer
    },
  }
}

/** null is an absent value, as Go writes an empty byte string. */
function bytesOf(field: unknown): Uint8Array | undefined | 'bad' {
  if (field === null || field === undefined) return undefined
  return (typeof field === 'string' ? fromBase64(field) : undefined) ?? 'bad'
}

/** The proofs of an answer, from the value up; more than the two that ours have is none of ours. */
function proofsOf(proofOps: unknown): readonly Uint8Array[] | undefined {
  const ops = isObject(proofOps) ? proofOps['ops'] : undefined
  if (!Array.isArray(ops) || ops.length > 2) return undefined
  const proofs = ops.map(op => (isObject(op) ? bytesOf(op['data']) : undefined))
  return proofs.every(proof => proof instanceof Uint8Array) ? proofs : undefined
}
