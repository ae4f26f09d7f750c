/** A street whose sites have a second key: each deal leaves its begin and end in both parties' journals as OCMF. */
import { createPublicKey, verify } from 'node:crypto'
import { asSignedTexts, readGivenOut } from '../../../agent/cli/evidence/journal-ocmf.ts'
import type { Seams } from '../../../agent/compose.ts'
import { OCMF_KIND } from '../../../agent/metering/ocmf.ts'
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { readTransparencyXml, writeTransparencyXml } from '../../../drivers/ocmf/transparency-xml.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { ledgerDeals } from '../../../hw/bench/judge.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { EcdsaVerifier } from '../../../protocol/ocmf/key.ts'
import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { judgeCharging } from '../../../protocol/ocmf/report.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { spkiOf } from '../../protocol/ocmf/sample.ts'

const test = suite('a deal as OCMF')

const LINE = 'L1'
const verifier: EcdsaVerifier = {
  verify: (key, hash, message, signature) => {
    const opened = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
    return verify(hash, message, { key: opened, dsaEncoding: 'ieee-p1363' }, signature)
  },
}
const secondKeyOf = (site: string) => createP256Signer(sha256(new TextEncoder().encode(`ocmf ${site}`)))
const withSecondKey = (site: string): Seams => ({
  world: world => ({
    ...world,
    openKeys: async source => {
      const keys = await world.openKeys(source)
      return keys.ok ? ok({ ...keys.value, ocmf: secondKeyOf(site) }) : keys
    },
  }),
})

test('both parties of a settled deal hold its begin and end, signed and whole, with the energy that was settled', async () => {
  const street = streetOf(5)
  const options = { seed: 5, sites: street.sites, brokers: 2, realSigner: true, pace: BRISK, logOf: () => () => {} }
  const ports = createSimPorts(options)
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 5, new Map(), producer, ports))
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name, withSecondKey(name))))
  const settled = () => ledgerDeals(running).filter(({ deal }) => deal.line === LINE && deal.state === 'settled')
  for (let waited = 0; settled().length === 0 && waited < 300_000; waited += 100) await ports.time.advance(100)
  const [deal] = settled()
  assert.ok(deal !== undefined, 'a deal settles')
  await awaited(ports.time, running.stop())

  const told: string[] = []
  for (const { name } of street.sites) {
    const disk = ports.sites.get(name)!.disks.get(`${name}/journal`)!.mount()
    const reader = must(await awaited(ports.time, openJournalReader(disk)))
    const texts: string[] = []
    const visited = reader.visit(({ kind, bytes }) => void (kind === OCMF_KIND && texts.push(fromUtf8(bytes)!)))
    must(await awaited(ports.time, visited))
    // Everything that the site gave out, several meters' deals and days together, as a journal is exported and verified.
    const given = texts.map(text => readGivenOut(utf8(text))!)
    const xml = writeTransparencyXml(asSignedTexts(given))
    const spki = toHex(spkiOf(secondKeyOf(name).publicKey))
    const { runs } = judgeCharging(must(readTransparencyXml(xml)), [spki], verifier)
    assert.equal([runs.flatMap(run => run.broken), runs.flatMap(run => run.records).length], [[], texts.length], name)
    assert.ok(
      given.some(({ page }) => page === 'F1'),
      "the day's first reading of a meter",
    )
    const own = texts.filter(text => parseOcmf(text).record?.payload.TT === deal.hash)
    if (own.length === 0) continue
    const verdict = verifyOcmf(own, toHex(spkiOf(secondKeyOf(name).publicKey)), verifier)
    assert.equal([verdict.broken, verdict.complete, verdict.transactions.length], [[], true, 1])
    for (const { direction, value, scaler, unit } of verdict.transactions[0]!.energies) {
      if (value > 0n) told.push(`${direction} ${value * 10n ** BigInt(scaler)} ${unit}`)
    }
  }
  const delivered = deal.deal.outcome!.delivered
  assert.ok(delivered > 0n)
  assert.equal(told.sort(), [`export ${delivered} Wh`, `import ${delivered} Wh`])
}, 60_000)

test.run()
