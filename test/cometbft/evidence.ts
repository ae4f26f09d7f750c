/**
 * Our evidence before a real full node: one CometBFT validator with its own key-value application, whose key signs a second
 * chain here. The node has to take what we make of it, to refuse what shows nothing, and to put it into blocks whose
 * EvidenceHash we compute alike.
 */
import { execFileSync } from 'node:child_process'
import { createPrivateKey, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { createRpcClient } from '../../drivers/headers/rpc-client.ts'
import { equalBytes, hex, toHex, utf8 } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { FLAG_COMMIT, voteSignBytes } from '../../protocol/chain/commit.ts'
import { type Evidence, hashEvidenceList, type LightClientAttack } from '../../protocol/chain/evidence.ts'
import { parseEvidence } from '../../protocol/chain/evidence-json.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { Header, LightBlock } from '../../protocol/chain/light-block.ts'
import { decodeLightBlock, encodeLightBlock } from '../../protocol/chain/light-block-proto.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Attack, AttackKind } from '../../protocol/light/detect.ts'
import { duplicateVotesOf, evidenceFault, evidenceOf } from '../../protocol/light/evidence.ts'
import { verifyAnchor } from '../../protocol/light/verify.ts'
import { faultLine, must } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import { freePort } from '../free-port.ts'
import type { Outcome } from './light-proxy.ts'
import { Program, until } from './process.ts'

// biome-ignore lint/suspicious/noExplicitAny: CometBFT's answer, of which two places are read.
type Json = any

const verifier = createVerifier()

export async function runEvidence({ binary }: { binary: string }): Promise<readonly Outcome[]> {
  const home = mkdtempSync(join(tmpdir(), 'tieline-evidence-'))
  execFileSync(binary, ['init', '--home', home], { stdio: 'ignore' })
  const config = join(home, 'config/config.toml')
  writeFileSync(config, readFileSync(config, 'utf8').replace(/^timeout_commit = .*$/m, 'timeout_commit = "100ms"'))
  const [rpcPort, p2pPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${rpcPort}`
  const args = ['node', '--home', home, '--proxy_app', 'kvstore', '--rpc.laddr', `tcp://127.0.0.1:${rpcPort}`]
  const node = new Program(binary, [...args, '--p2p.laddr', `tcp://127.0.0.1:${p2pPort}`], join(home, 'log'))
  const outcomes: Outcome[] = []
  const check = async (name: string, body: () => Promise<string>) => {
    try {
      outcomes.push({ name, ok: true, detail: await body() })
    } catch (error) {
      outcomes.push({ name, ok: false, detail: (error as Error).message })
    }
  }
  try {
    await node.start()
    await judge(url, home, check)
  } finally {
    await node.kill()
    rmSync(home, { recursive: true, force: true })
  }
  return outcomes
}

type Check = (name: string, body: () => Promise<string>) => Promise<void>

async function judge(url: string, home: string, check: Check): Promise<void> {
  const rpc = createRpcClient({ url })
  const heightNow = async () => {
    const status = await rpc.status()
    return status.ok ? status.value.height : 0n
  }
  await until('the node makes ten blocks', 60_000, async () => (await heightNow()) >= 10n)
  const { chainId } = must(await rpc.status())
  const chain = new Map<bigint, LightBlock>()
  for (let height = 1n; height <= 9n; height++) chain.set(height, must(await rpc.lightBlock(height)))

  await check('headers hash as their commits say, light blocks come back from their bytes', async () => {
    for (const block of chain.values()) {
      if (!equalBytes(hashHeader(block.header), block.commit.blockId.hash)) throw new Error('another header hash')
      const again = must(decodeLightBlock(encodeLightBlock(block)))
      if (!equalBytes(hashHeader(again.header), block.commit.blockId.hash)) throw new Error('another light block')
    }
    return `${chain.size} heights`
  })

  const keyFile = JSON.parse(readFileSync(join(home, 'config/priv_validator_key.json'), 'utf8'))
  const seed = Buffer.from(keyFile.priv_key.value, 'base64').subarray(0, 32)
  const der = Buffer.concat([hex('302e020100300506032b657004220420'), seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const signed = (header: Header, round: number): LightBlock => {
    const hash = hashHeader(header)
    const { commit, validators } = chain.get(header.height)!
    const blockId = { hash, partSetHeader: { total: 1, hash: sha256(hash) } }
    const vote = { ...commit.signatures[0]!, flag: FLAG_COMMIT, signature: new Uint8Array(0) } as const
    const unsigned = { height: header.height, round, blockId, signatures: [vote] }
    const signature = new Uint8Array(sign(null, voteSignBytes(chainId, unsigned, vote), key))
    return { header, commit: { ...unsigned, signatures: [{ ...vote, signature }] }, validators }
  }
  const options = {
    chainId,
    trustingPeriodMs: 86_400_000,
    maxClockDriftMs: 10_000,
    trustLevel: { numerator: 1, denominator: 3 },
  }
  const believed = (block: LightBlock) => {
    const anchor = { height: block.header.height, hash: hashHeader(block.header) }
    return must(verifyAnchor(anchor, block, options, later(instantOf(block.header.time), 1_000), verifier))
  }
  const attackAt = (height: bigint, kind: AttackKind, change: Partial<Header>, rounds: number): Attack => {
    const theirs = chain.get(height)!
    const conflicting = signed({ ...theirs.header, ...change }, theirs.commit.round + rounds)
    return { kind, common: believed(chain.get(4n)!), ours: believed(conflicting), theirs: believed(theirs) }
  }
  const other = sha256(utf8('other'))
  const lunatic = attackAt(6n, 'lunatic', { appHash: other }, 0)
  const equivocation = attackAt(7n, 'equivocation', { dataHash: other }, 0)
  // Not amnesia: a node that has taken evidence of it makes no block any more (agent/light/accuse.ts).
  const made: Evidence[] = [lunatic, equivocation].map(attack => evidenceOf(attack, chainId, verifier))
  made.push(...duplicateVotesOf(attackAt(5n, 'equivocation', { dataHash: other }, 0), chainId, verifier))

  for (const [i, name] of ['a lunatic header', 'an equivocation', 'a double vote'].entries()) {
    await check(`${name} is taken as evidence`, async () => {
      must(await rpc.reportEvidence(made[i]!))
      return 'taken'
    })
  }
  const good = made[0] as LightClientAttack
  const honest = evidenceOf({ ...lunatic, ours: lunatic.theirs }, chainId, verifier)
  const nothing: readonly (readonly [string, Evidence, RegExp])[] = [
    ['the block that stands', honest, /trusted header hash matches/],
    [
      'a lunatic header that blames nobody',
      { ...good, commonHeight: 3n, time: chain.get(3n)!.header.time, byzantine: [] },
      /expected 1 byzantine validators/,
    ],
    [
      'another power',
      { ...good, commonHeight: 3n, time: chain.get(3n)!.header.time, totalPower: 11n },
      /total voting power/,
    ],
    ['another time', { ...good, commonHeight: 3n }, /different time/],
  ]
  for (const [name, evidence, words] of nothing) {
    await check(`${name} is refused by the node and by our own judge`, async () => {
      const answer = await rpc.reportEvidence(evidence)
      if (answer.ok) throw new Error('taken')
      if (!words.test(faultLine(answer.fault))) throw new Error(faultLine(answer.fault))
      const ours = evidenceFault(evidence, chainId, height => chain.get(height), verifier)
      if (ours === undefined) throw new Error('our own judge takes it')
      return ours.reason
    })
  }

  await check('it stands in blocks, under the EvidenceHash that we compute', async () => {
    const seen = new Set<string>()
    let next = 10n
    await until('all evidence is in blocks', 30_000, async () => {
      for (const end = await heightNow(); next <= end; next++) {
        const answer: Json = await (await fetch(`${url}/block?height=${next}`)).json()
        const list = (answer.result.block.evidence.evidence ?? []).map((json: unknown) => must(parseEvidence(json)))
        const expected = answer.result.block.header.evidence_hash.toLowerCase()
        if (toHex(hashEvidenceList(list)) !== expected) throw new Error(`another EvidenceHash at ${next}`)
        for (const one of list) seen.add(toHex(hashEvidenceList([one])))
      }
      return made.every(one => seen.has(toHex(hashEvidenceList([one]))))
    })
    return `${seen.size} pieces in blocks up to ${next - 1n}`
  })
}
