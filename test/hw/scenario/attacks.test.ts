import { ATTACKS, tryAttacks } from '../../../hw/scenario/attacks.ts'
import { played } from '../../../hw/scenario/conduct.ts'
import { assert, suite } from '../../harness.ts'

const t = suite('attacks')

t('an attack that is none is told as one that got through', async () => {
  const harmless = { name: 'nothing', refused: 'ledger.sequence', run: async () => 'taken' }
  const [tried] = await tryAttacks([harmless])
  assert.is(tried!.outcome, 'taken')
  assert.is.not(tried!.outcome, tried!.refused)
})

t('no two attacks have one name, and each names the refusal that it has to meet', () => {
  assert.is(new Set(ATTACKS.map(({ name }) => name)).size, ATTACKS.length)
  for (const { refused } of ATTACKS) assert.match(refused, /^(ledger|auction|certificate|band)\./)
})

t('of a deal of 2 kWh 1.5 are delivered and paid; with both silent all goes back', async () => {
  const honest = (await played({})).outcome!
  assert.is(honest.delivered, 1_500n)
  assert.is(honest.paid, 375_000n)
  assert.is(honest.refunded, 125_000n)
  const silent = await played({ sellerSilent: true, buyerSilent: true })
  assert.is(silent.state, 'refunded')
  assert.is(silent.outcome!.refunded, 500_000n)
})

t.run()
