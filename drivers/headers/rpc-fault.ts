/** What can go wrong between us and a full node's RPC; the node is named so that a witness can be told from the primary. */
export type RpcFault =
  | { readonly code: 'rpc.unreachable'; readonly node: string; readonly why: string }
  | { readonly code: 'rpc.timeout'; readonly node: string; readonly afterMs: number }
  | { readonly code: 'rpc.too-long'; readonly node: string; readonly limit: number }
  /** More values than any answer of a ledger has. */
  | { readonly code: 'rpc.too-many'; readonly node: string; readonly limit: number }
  /** An answer that is none: not JSON-RPC, or a field that is not what its place says. */
  | { readonly code: 'rpc.answer'; readonly node: string; readonly method: string; readonly reason: string }
  /** The node says no, in its own words. */
  | { readonly code: 'rpc.refused'; readonly node: string; readonly method: string; readonly message: string }
  /** Not there yet: ask again later. */
  | { readonly code: 'rpc.height-too-high'; readonly node: string; readonly asked: bigint; readonly newest: bigint }
  /** No longer there. */
  | { readonly code: 'rpc.height-gone'; readonly node: string; readonly asked: bigint; readonly oldest: bigint }
  /** No transaction of that hash stands in a block that this node has. */
  | { readonly code: 'rpc.no-tx'; readonly node: string; readonly hash: string }
