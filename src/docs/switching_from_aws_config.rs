#![doc = include_str!("switching_from_aws_config.md")]
