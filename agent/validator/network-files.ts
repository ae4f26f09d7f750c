/**
 * The files of a fresh CometBFT network (v0.38 and v0.40) whose application is this ledger:
 *
 *     genesis.json                    of all; also in each node's folder
 *     operator_key.json               the account that enrols, mints and is paid fees
 *     node<i>/config/config.toml      what differs from CometBFT's defaults
 *     node<i>/config/genesis.json
 *     node<i>/config/node_key.json    who it is to its peers
 *     node<i>/config/priv_validator_key.json
 *     node<i>/data/priv_validator_state.json
 *
 * Pure: keys come in, texts come out.
 */
import { concat, toHex } from '../../protocol/bytes.ts'
import { MAX_ABCI_BLOCK_BYTES } from '../../protocol/chain/abci-frame.ts'
import { toBase64 } from '../../protocol/chain/base64.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { MAX_TX_BYTES } from '../../protocol/ledger/tx.ts'
import { APP_VERSION } from './abci-host.ts'
import { genesisJson } from './genesis-json.ts'

/** An Ed25519 key with its secret, as a file holds it. */
export interface SecretKey {
  readonly secret: Uint8Array
  readonly publicKey: Uint8Array
}

export interface NodePlace {
  readonly host: string
  readonly p2p: number
  readonly rpc: number
  /** Where its application listens, beside it. */
  readonly abci: number
}

export interface Network {
  readonly genesis: Genesis
  /** Undefined where genesis came from a file: its operator has a key already. */
  readonly operator: SecretKey | undefined
  readonly nodes: readonly {
    readonly place: NodePlace
    readonly validator: SecretKey
    readonly node: SecretKey
  }[]
  /** Between a commit and the next proposal. */
  readonly intervalMs: number
}

/** Voting power of each validator, in units of stake: room below it and above. */
export const VALIDATOR_POWER = 10
/** CometBFT's own defaults for 48 hours of evidence. */
const EVIDENCE = { max_age_num_blocks: '100000', max_age_duration: '172800000000000', max_bytes: '1048576' }

const LOOPBACK = ['127.0.0.1', 'localhost', '::1']

/** Ports of node `index`: CometBFT's own where each node has its host, ten further for each node where they share one. */
export function placeOf(index: number, host: string, shared: boolean, basePort: number): NodePlace {
  const p2p = basePort + (shared ? 10 * index : 0)
  return { host, p2p, rpc: p2p + 1, abci: p2p + 2 }
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`
const publicJson = (key: SecretKey) => ({ type: 'tendermint/PubKeyEd25519', value: toBase64(key.publicKey) })
/** CometBFT writes an Ed25519 private key as the seed and the public key behind it. */
const privateJson = (key: SecretKey) => ({
  type: 'tendermint/PrivKeyEd25519',
  value: toBase64(concat(key.secret, key.publicKey)),
})
const keyJson = (key: SecretKey) => ({
  address: toHex(addressOf(key.publicKey)).toUpperCase(),
  pub_key: publicJson(key),
  priv_key: privateJson(key),
})

function genesisText({ genesis, nodes }: Network): string {
  const { app_state, ...head } = genesisJson(genesis)
  return json({
    ...head,
    initial_height: '1',
    consensus_params: {
      block: { max_bytes: String(MAX_ABCI_BLOCK_BYTES), max_gas: '-1' },
      evidence: EVIDENCE,
      validator: { pub_key_types: ['ed25519'] },
      version: { app: String(APP_VERSION) },
      abci: { vote_extensions_enable_height: '0' },
    },
    validators: nodes.map(({ validator }, i) => ({
      address: toHex(addressOf(validator.publicKey)).toUpperCase(),
      pub_key: publicJson(validator),
      power: String(VALIDATOR_POWER),
      name: `node${i}`,
    })),
    app_hash: '',
    app_state,
  })
}

function configText(network: Network, index: number): string {
  const { nodes, intervalMs } = network
  const { place } = nodes[index]!
  const local = LOOPBACK.includes(place.host)
  const everywhere = local ? '127.0.0.1' : '0.0.0.0'
  const peers = nodes
    .filter((_, i) => i !== index)
    .map(({ place: peer, node }) => `${toHex(addressOf(node.publicKey))}@${peer.host}:${peer.p2p}`)
  return `# What differs from CometBFT's defaults.
proxy_app = "tcp://127.0.0.1:${place.abci}"
moniker = "node${index}"

[rpc]
# Agents reach it through whatever stands before it; the port itself stays on this machine.
laddr = "tcp://127.0.0.1:${place.rpc}"

[p2p]
laddr = "tcp://${everywhere}:${place.p2p}"
persistent_peers = "${peers.join(',')}"
# The validators know each other; there is nobody to find.
pex = false
addr_book_strict = ${!local}
allow_duplicate_ip = ${local}

[mempool]
max_tx_bytes = ${MAX_TX_BYTES}

[consensus]
# Between a commit and the next proposal; empty blocks too, because block time is the ledger's clock.
timeout_commit = "${intervalMs}ms"
create_empty_blocks = true
`
}

/** Every file by its path under the network's folder. */
export function networkFiles(network: Network): ReadonlyMap<string, string> {
  const genesis = genesisText(network)
  const files = new Map([['genesis.json', genesis]])
  if (network.operator !== undefined) files.set('operator_key.json', json(keyJson(network.operator)))
  for (const [i, { validator, node }] of network.nodes.entries()) {
    files.set(`node${i}/config/config.toml`, configText(network, i))
    files.set(`node${i}/config/genesis.json`, genesis)
    files.set(`node${i}/config/node_key.json`, json({ priv_key: privateJson(node) }))
    files.set(`node${i}/config/priv_validator_key.json`, json(keyJson(validator)))
    files.set(`node${i}/data/priv_validator_state.json`, json({ height: '0', round: 0, step: 0 }))
  }
  return files
}
