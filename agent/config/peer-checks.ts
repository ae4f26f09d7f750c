/** What `peers` must be: others than this site, each with an account of its own. */
import { toHex } from '../../protocol/bytes.ts'
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

export function checkPeers(
  { site, peers }: SiteConfig,
  report: (path: Path, what: string, hint?: string) => void,
): void {
  if (Object.hasOwn(peers, site)) report(['peers', site], 'is this site itself')
  const owners = new Map<string, string>()
  for (const [peer, { account }] of Object.entries(peers)) {
    const key = toHex(account)
    const other = owners.get(key)
    // What one is paid, or is kept from, would count as the other's.
    if (other !== undefined) report(['peers', peer, 'account'], `is also that of ${other}`, 'one site under two names?')
    else owners.set(key, peer)
  }
}
