/**
 * The audit of a ledger that runs elsewhere: its whole state is fetched, tied to the header that commits to it, and added
 * up here. The header itself is the node's word: an audit trusts the node that it names, a light client does not.
 */
import { callRpc } from '../../drivers/headers/rpc-call.ts'
import { createRpcClient } from '../../drivers/headers/rpc-client.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { decode } from '../../protocol/cbor.ts'
import { fromBase64 } from '../../protocol/chain/base64.ts'
import { createStateTree } from '../../protocol/chain/smt.ts'
import { type Audit, auditLedger } from '../../protocol/ledger/audit.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'

/** A page is a megabyte; base64 and JSON make it half as long again. */
const PAGE_LIMIT = 4 * 1024 * 1024
/** A state of some gigabytes; a node that never comes to an end is not waited for. */
const MAX_PAGES = 4096
const TIMEOUT_MS = 60_000

type Entry = readonly [key: Uint8Array, value: Uint8Array]

/** A whole state, and the AppHash that it was found to have. */
export interface WholeState {
  readonly chainId: string
  readonly height: bigint
  readonly appHash: Uint8Array
  readonly entries: Iterable<Entry>
}

export async function fetchAudit(url: string): Promise<Result<Audit>> {
  const state = await fetchState(url)
  return state.ok ? ok(auditLedger(state.value.entries)) : state
}

/** The newest state to which a header of the node commits. */
export async function fetchState(url: string): Promise<Result<WholeState>> {
  const node = createRpcClient({ url })
  const status = await node.status()
  if (!status.ok) return status
  // AppHash of the state after block H stands in header H + 1.
  const height = status.value.height - 1n
  if (height < 1n) {
    return fail({ code: 'audit.too-early', node: url, height: status.value.height, hint: 'ask again after two blocks' })
  }
  const entries = await fetchEntries(url, height)
  if (!entries.ok) return entries
  const next = await node.lightBlock(height + 1n)
  if (!next.ok) return next
  const tree = createStateTree(1)
  const computed = tree.commit(height, entries.value)
  const { appHash, chainId } = next.value.header
  if (!equalBytes(computed, appHash)) {
    const fault: Fault = {
      code: 'audit.app-hash',
      node: url,
      height,
      expected: toHex(appHash),
      computed: toHex(computed),
    }
    return fail(fault)
  }
  // Of a key that comes twice the tree has the last value, a sum would have both.
  const keys = tree.count.leaves
  if (keys !== entries.value.length) {
    return fail({ code: 'audit.key-twice', node: url, height, keys, received: entries.value.length })
  }
  return ok({ chainId, height, appHash, entries: entries.value })
}

/** The whole state after a block, page after page until an empty one. */
async function fetchEntries(url: string, height: bigint): Promise<Result<Entry[]>> {
  const entries: Entry[] = []
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const after = entries.at(-1)?.[0] ?? new Uint8Array(0)
    const params = { path: '/state', data: toHex(after), height: String(height) }
    const answer = await callRpc(url, 'abci_query', params, { timeoutMs: TIMEOUT_MS, limit: PAGE_LIMIT })
    if (!answer.ok) return answer
    const value = (answer.value as { response?: { value?: unknown } } | null)?.response?.value
    const bytes = typeof value === 'string' ? fromBase64(value) : undefined
    const page = bytes === undefined ? undefined : entriesOf(bytes)
    if (page === undefined) return fail({ code: 'audit.no-state', node: url, height })
    if (page.length === 0) return ok(entries)
    entries.push(...page)
  }
  return fail({ code: 'audit.endless-state', node: url, height, pages: MAX_PAGES })
}

function entriesOf(bytes: Uint8Array): Entry[] | undefined {
  const list = decode(bytes, PAGE_LIMIT)
  if (!list.ok || !Array.isArray(list.value)) return undefined
  const entries: Entry[] = []
  for (const item of list.value) {
    if (!Array.isArray(item) || item.length !== 2) return undefined
    const [key, value] = item
    if (!(key instanceof Uint8Array && value instanceof Uint8Array)) return undefined
    entries.push([key, value])
  }
  return entries
}
