//! The partitions of AWS: which regions they contain, and their domains.

use crate::env::region::Region;

/// An AWS partition, with the prefix of its regions and its domains.
#[derive(Debug)]
pub(crate) struct Partition {
    /// As in an ARN, such as `aws` or `aws-cn`.
    pub(crate) id: &'static str,
    region_prefix: &'static str,
    pub(crate) suffix: &'static str,
    pub(crate) dual_stack_suffix: &'static str,
}

impl Partition {
    const fn new(
        id: &'static str,
        region_prefix: &'static str,
        suffix: &'static str,
        dual_stack_suffix: &'static str,
    ) -> Self {
        Self { id, region_prefix, suffix, dual_stack_suffix }
    }

    /// The partition of a region. The first one whose prefix matches is used.
    pub(crate) fn of(region: &Region) -> &'static Self {
        OTHERS.iter().find(|partition| region.as_str().starts_with(partition.region_prefix)).unwrap_or(&AWS)
    }
}

/// The partition of every region that no other partition contains.
static AWS: Partition = Partition::new("aws", "", "amazonaws.com", "api.aws");

static OTHERS: [Partition; 7] = [
    Partition::new("aws-us-gov", "us-gov-", "amazonaws.com", "api.aws"),
    Partition::new("aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    Partition::new("aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    Partition::new("aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    Partition::new("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    Partition::new("aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    Partition::new("aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
];
