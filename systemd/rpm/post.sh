if [ $1 -eq 1 ] && [ -d /run/systemd/system ]; then
	systemctl --no-reload preset redpath.service || :
	echo "redpath: to begin, write /etc/redpath/redpath.yaml (an example is beside it) and run: systemctl start redpath"
fi
