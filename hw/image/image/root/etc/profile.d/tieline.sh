# The first person who logs in is asked what the gateway needs to know. It may be broken off, and comes back at the next login.
if [ -t 0 ] && [ "$(id -u)" = 0 ] && [ ! -e /etc/tieline/config.yaml ]; then
  echo 'This gateway has no configuration yet.'
  cd /var/lib/tieline && runuser -u tieline -- tieline init
  cd
  [ ! -e /etc/tieline/config.yaml ] || systemctl restart tieline-card.service tieline.service
fi
