package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/starling-rules/starling/engine/backup"
)

func (c *command) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [FILE] | backup restore FILE",
		Short: "Archive what the store keeps, and restore it: keys of scripts, conversations, rules that are off, timers",
		Long: "The archive is a JSON document of plain data, one record on a line; without FILE it\n" +
			"is printed. It is taken from the running server through its admin port, or from the\n" +
			"data directory when no server runs. Each key is archived as it is when it is read:\n" +
			"one key is always whole, several keys are not of one moment. Events, their runs and\n" +
			"what is remembered of Slack are not in it.\n\n" +
			"Restore reads all of an archive before it writes anything: one that is cut off, or\n" +
			"holds what does not belong there, changes nothing. What has expired is left out.\n" +
			"--dry-run prints the differences.",
		Example: "  starling backup state.json\n" +
			"  starling backup | gzip > state.json.gz\n" +
			"  starling backup restore state.json --dry-run   # what would be changed\n" +
			"  starling backup restore state.json --replace   # and remove what is not in it",
		Args: cobra.RangeArgs(0, 2),
	}
	c.configFlags(cmd)
	var f restoreFlags
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		restoring := len(args) > 0 && args[0] == "restore"
		switch {
		case restoring && len(args) != 2, !restoring && len(args) > 1:
			return withCode(ExitUsage, errors.New("want backup, backup FILE or backup restore FILE (- for stdin)"))
		case !restoring && (*f.dry || *f.merge || *f.replace || *f.json):
			return withCode(ExitUsage, errors.New("--dry-run, --merge, --replace and --json go with backup restore FILE"))
		}
		cfg, err := c.load(cmd, nil)
		if err != nil {
			return err
		}
		if restoring {
			return c.restore(cmd, cfg, args[1], f, backup.Filter{})
		}
		return c.writeArchive(cmd, cfg, fileOr(args, 0), backup.Filter{})
	}
	return cmd
}

// fileOr is the argument at i, or - for stdin or stdout.
func fileOr(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return "-"
}
