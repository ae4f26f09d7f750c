/** A change of validators by stake: the fresh node's key joins, signs, and powers move. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { fromBase64 } from '../../protocol/chain/base64.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { DEFAULT_STAKING } from '../../protocol/ledger/genesis.ts'
import { buildValidatorProof } from '../../protocol/ledger/validator-proof.ts'
import { micros } from '../../protocol/quantity.ts'
import { CHAIN_ID, operator, stranger } from '../protocol/ledger/parties.ts'
import type { Json, Node } from './network.ts'
import { until } from './process.ts'
import type { Traffic } from './traffic.ts'

const WAIT_MS = 60_000
/** CometBFT's BlockIDFlagCommit. */
const SIGNED = 2

const units = (count: bigint) => micros(DEFAULT_STAKING.unit * count)

/** The key that a node made for itself. */
const keyOf = (node: Node): Uint8Array => {
  const file = JSON.parse(readFileSync(join(node.home, 'config', 'priv_validator_key.json'), 'utf8')) as Json
  return fromBase64(file.priv_key.value)!.slice(0, 32)
}

/** Answers what was seen, or throws. */
export async function changeValidators(seen: Node, fresh: Node, traffic: Traffic): Promise<string> {
  const signer = createSigner(keyOf(fresh))
  const { publicKey } = signer
  const address = addressOf(publicKey)
  const name = toHex(address).toUpperCase()
  /** Powers by address, of the set that acts now. */
  const powers = async (): Promise<Map<string, number>> => {
    const set = ((await seen.get('validators'))?.validators ?? []) as Json[]
    return new Map(set.map(one => [one.address as string, Number(one.voting_power)]))
  }
  const isPower = (of: string, power: number) => async () => (await powers()).get(of) === power
  const before = await powers()

  const roleKey = Buffer.from(utf8(`role/validator/${stranger.id}`)).toString('hex')
  await traffic.send(
    operator,
    { kind: 'role', body: { role: 'validator', holder: stranger.address, held: true } },
    async () => Boolean((await seen.get(`abci_query?path="/key"&data=0x${roleKey}`))?.response.value),
  )

  const proof = buildValidatorProof(CHAIN_ID, stranger.address, publicKey)
  const joins = { publicKey, amount: units(4n), proof: proof.withSignature(signer.signNow(proof.toSign)) }
  await traffic.send(stranger, { kind: 'stake', body: joins }, isPower(name, 4))
  await until('the newcomer signs', WAIT_MS, async () => {
    const { commit } = (await seen.get('commit')).signed_header
    return commit.signatures.some((one: Json) => one.validator_address === name && one.block_id_flag === SIGNED)
  })

  await traffic.send(stranger, { kind: 'unstake', body: { validator: address, amount: units(1n) } }, isPower(name, 3))
  const [older] = [...before.keys()].slice(-1) as [string]
  const lowered = { validator: new Uint8Array(Buffer.from(older, 'hex')), amount: units(2n) }
  await traffic.send(operator, { kind: 'unstake', body: lowered }, isPower(older, before.get(older)! - 2))
  const after = await powers()
  return `${[...before.values()].join(' ')} became ${[...after.values()].join(' ')}, and the newcomer signs`
}
